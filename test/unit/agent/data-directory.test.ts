/**
 * Which directories a node accepts as its data directory. A refused directory is not changed.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { openDataDirectory } from "../../../src/agent/data-directory.ts";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { SmallDisk } from "../../support/disk/small-disk.ts";
import { openOneNode } from "../../support/log/one-node-log.ts";
import { scratch } from "../../support/scratch.ts";

const openAndClose = async (path: string): Promise<void> => {
  await using opened = await openDataDirectory(path);
  assert.equal(opened.path, path);
};

test("a directory with foreign files is refused, and nothing is created in it", async (t) => {
  const home = scratch(t);
  writeFileSync(join(home, "letter.txt"), "dear");
  await assert.rejects(openAndClose(home), { kind: "foreign-directory" });
  assert.deepEqual(readdirSync(home), ["letter.txt"]);
  const file = join(home, "letter.txt");
  await assert.rejects(openAndClose(file), { kind: "config" });
});

test("a data directory may contain those of other nodes, and of tailrace dev", async (t) => {
  const home = scratch(t);
  for (const other of ["a", "dev-8080/n1", "dev-8080/n2"]) await openAndClose(join(home, other));
  await openAndClose(home);
  await openAndClose(home);
  const strange = scratch(t);
  await openAndClose(join(strange, "a"));
  mkdirSync(join(strange, "photos"));
  await assert.rejects(openAndClose(strange), /holds files that are not a log's, such as photos/);
});

/** All names below a directory, with their modes. */
const tree = (home: string): string[] =>
  (readdirSync(home, { recursive: true }) as string[])
    .sort()
    .map((name) => `${name} ${(statSync(join(home, name)).mode & 0o777).toString(8)}`);

test("files of a node are readable by their owner only, with any umask", async (t) => {
  const before = process.umask(0o022);
  t.after(() => process.umask(before));
  const home = join(scratch(t), "deep", "data");
  await openAndClose(home);
  const replica = await openOneNode(home);
  await replica[Symbol.asyncDispose]();
  const found = [`. ${(statSync(home).mode & 0o777).toString(8)}`, ...tree(home)];
  assert.ok(found.length > 6);
  for (const line of found) assert.match(line, /^(\.|log|meta) 700$|[^ ] 600$/, line);
});

test("the names of the data directory and its catalog are synced at every open", async (t) => {
  const home = join(scratch(t), "deep", "data");
  const synced = t.mock.method(systemDisk, "syncDirectory");
  const paths = (): unknown[] => synced.mock.calls.map(({ arguments: [path] }) => path);
  await openAndClose(home);
  const first = paths();
  for (const path of [dirname(dirname(home)), dirname(home), home, join(home, "meta")]) {
    assert.ok(first.includes(path), `${path} of ${first.join()}`);
  }
  assert.ok(first.lastIndexOf(join(home, "meta")) > first.indexOf(dirname(home)));
  // A process may die between creating and syncing them: the next one syncs them.
  synced.mock.resetCalls();
  await openAndClose(home);
  for (const path of [dirname(home), home]) assert.ok(paths().includes(path));
});

test("segments without their catalog are refused as damage, and nothing is created", async (t) => {
  for (const gone of ["meta", "meta/state.db"]) {
    const home = scratch(t);
    const replica = await openOneNode(home);
    await replica[Symbol.asyncDispose]();
    rmSync(join(home, gone), { recursive: true });
    const before = tree(home);
    await assert.rejects(openAndClose(home), {
      kind: "corrupt",
      message: /catalog .* is gone; nothing was changed/,
    });
    assert.deepEqual(tree(home), before);
    mkdirSync(join(home, "meta"), { recursive: true });
    writeFileSync(join(home, "meta", "state.db"), "");
    await assert.rejects(openAndClose(home), { kind: "corrupt" });
  }
});

test("on a full disk a new directory is refused, and nothing is created", async (t) => {
  const home = scratch(t);
  using disk = SmallDisk.mount(join(home, "small"), 1024 * 1024 - 4096);
  if (disk === undefined) {
    console.error("SKIPPED: mounting a small file system is not allowed here, so nothing was tested");
    return t.skip("needs root, to mount a small file system");
  }
  const refused = {
    kind: "disk-full",
    message: /needs 1024 KiB, and \d+ KiB are free\. Nothing was created/,
  };
  await assert.rejects(openAndClose(join(disk.path, "data")), refused);
  await assert.rejects(openAndClose(disk.path), refused);
  assert.deepEqual(readdirSync(disk.path), []);
});

test("below /proc, which holds no files, the message has the path and what the system said", async (t) => {
  if (!existsSync("/proc/self")) return t.skip("needs /proc");
  for (const path of ["/proc/tailrace", "/proc/tailrace/data"]) {
    await assert.rejects(openAndClose(path), {
      kind: "config",
      message: `${path} cannot be created: no such file or directory (ENOENT)`,
    });
  }
});
