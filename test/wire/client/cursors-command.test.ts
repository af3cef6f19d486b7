/** `tailrace cursors` as processes, against a node. docs/cursors.md has the rest of its commands. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openClient } from "../../../src/client/mod.ts";
import { serveNode } from "../../support/http/serve-node.ts";
import { tailrace } from "../../support/process/process.ts";

test("a move keeps the metadata, or replaces them; with a version it is a compare-and-set", async () => {
  await using node = await serveNode();
  const addr = `127.0.0.1:${node.served.port}`;
  await using client = openClient({ addr });
  for (let at = 0; at < 3; at++) await client.commitLog.producer().send(`${at}`);
  const cursor = client.commitLog.cursor("c");
  const run = (...args: string[]) => tailrace(["cursors", ...args, "--addr", addr]);
  const { version } = await cursor.commit(1, { metadata: "batch 7" });

  const moved = await run("move", "c", "--to", "end", "--if-version", String(version));
  assert.equal(moved.status, 0, moved.err);
  const { out } = await run("get", "c");
  const found = JSON.parse(out) as Record<string, unknown>;
  assert.partialDeepStrictEqual(found, { name: "c", offset: 3, metadata: "batch 7", lag: 0 });

  const refused = await run("delete", "c", "--if-version", String(version));
  assert.equal(refused.status, 1);
  assert.match(refused.err, /"c" was not changed: version \d+ was expected, and it has version \d+/);
  assert.equal((await cursor.get())?.offset, 3);
  assert.equal((await run("move", "c", "--to", "0", "--if-version", "x")).status, 2);
  const nowhere = await run("move", "c", "--to", "middle");
  assert.equal(nowhere.status, 2);
  assert.match(
    nowhere.err,
    /^tailrace cursors move: --to must be an offset, start, end, .*, not "middle"\n$/,
  );

  assert.equal((await run("move", "c", "--to", "2", "--metadata", "by hand")).status, 0);
  const { offset, metadata } = (await cursor.get()) ?? {};
  assert.deepEqual([offset, metadata], [2, "by hand"]);
});
