/** A store of objects in a directory. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { DirectoryStore } from "../../../../src/objects/directory/directory-store.ts";
import { checkObjectStore, keysOf } from "../../../support/objects/object-store-contract.ts";
import { scratch } from "../../../support/scratch.ts";

test("a directory keeps the promises of a store", async (t) => {
  await checkObjectStore(new DirectoryStore(join(scratch(t), "made", "here"), systemClock), 3_000_000);
});

test("only the owner can read the objects, links are not followed, and other files are not listed", async (t) => {
  const home = scratch(t);
  const at = join(home, "store");
  const store = new DirectoryStore(at, systemClock);
  await store.put("a/b", Buffer.from("x"));
  assert.equal(statSync(join(at, "a/b")).mode & 0o777, 0o600);
  writeFileSync(join(home, "secret"), "0123");
  symlinkSync(join(home, "secret"), join(at, "link"));
  mkdirSync(join(at, "directory"));
  writeFileSync(join(at, "with space"), "");
  assert.deepEqual(await keysOf(store), ["a/b"]);
  assert.equal(await store.size("link"), undefined);
  await assert.rejects(store.read("link", 0, 4), { kind: "corrupt" });
  assert.equal(await store.read("directory", 0, 4), undefined);
  assert.deepEqual(readdirSync(join(at, ".unfinished")), []);
});

test("of two processes that replace one object, the one with the tag wins", async (t) => {
  const at = scratch(t);
  const [one, two] = [new DirectoryStore(at, systemClock), new DirectoryStore(at, systemClock)];
  const tag = await one.put("lock", Buffer.from("0"));
  const tags = await Promise.all(
    [one, two, one, two].map((store, n) => store.put("lock", Buffer.from(`writer ${n}`), { ifTag: tag! })),
  );
  assert.equal(tags.filter((found) => found !== undefined).length, 1);
});

test("a directory that cannot be written is refused with the reason", async (t) => {
  const home = scratch(t);
  writeFileSync(join(home, "file"), "");
  const store = new DirectoryStore(join(home, "file", "store"), systemClock);
  await assert.rejects(store.put("a", Buffer.from("x")), { kind: "unavailable", message: /not a directory/ });
});
