/** Cursors of the client library, against a cluster of one node. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openClient } from "../../../src/client/mod.ts";
import { Fault } from "../../../src/fault.ts";
import { serveNode } from "../../support/http/serve-node.ts";

test("a reader commits what it has done, and the next one goes on there", async () => {
  await using node = await serveNode();
  await using client = openClient({ addr: node.url.replace("http://", "") });
  await client.logs.create("a");
  const log = client.log("a");
  await using producer = log.producer();
  for (let n = 0; n < 6; n++) await producer.send(`${n}`);
  const read = async (count: number, options = {}): Promise<number[]> => {
    const offsets: number[] = [];
    for await (const record of log.consume({ cursor: "c", until: "end", ...options })) {
      offsets.push(record.offset);
      if (offsets.length === count) break;
    }
    return offsets;
  };
  assert.deepEqual(await read(3), [0, 1, 2]);
  // The third one was not done when the loop ended.
  assert.equal((await log.cursor("c").get())?.offset, 2);
  assert.deepEqual(await read(9), [2, 3, 4, 5]);
  assert.deepEqual(await read(9), []);
  assert.equal((await log.cursor("c").get())?.offset, 6);
  assert.deepEqual(await read(9, { cursor: "other", from: 4 }), [4, 5]);

  const failed = async (): Promise<void> => {
    for await (const { offset } of log.consume({ cursor: "failing" })) if (offset === 2) throw new Error("x");
  };
  await assert.rejects(failed(), { message: "x" });
  assert.equal((await log.cursor("failing").get())?.offset, 2);

  const reader = log.consume({ cursor: "shared", commitEveryMs: 3_600_000 });
  await reader.next();
  await log.cursor("shared").commit(5);
  await reader.next();
  await assert.rejects(
    reader.return(undefined),
    (fault: Fault) => fault.facts["reason"] === "CURSOR_VERSION_MISMATCH",
  );
  assert.equal((await log.cursor("shared").get())?.offset, 5);
});

test("a cursor is committed with a condition, and deleted", async () => {
  await using node = await serveNode();
  await using client = openClient({ addr: node.url.replace("http://", "") });
  const cursor = client.commitLog.cursor("c");
  assert.equal(await cursor.get(), undefined);
  const { version } = await cursor.commit(0, { version: 0, metadata: "m" });
  assert.deepEqual([(await cursor.get())?.metadata, (await cursor.get())?.version], ["m", version]);
  await assert.rejects(cursor.commit(0, { version: 0 }), (fault: Fault) => fault.facts["found"] === version);
  await assert.rejects(cursor.commit(1), (fault: Fault) => fault.kind === "out-of-range");
  await assert.rejects(cursor.commit(-1), (fault: Fault) => fault.kind === "bad-request");
  await cursor.delete({ version });
  await assert.rejects(cursor.delete(), (fault: Fault) => fault.facts["reason"] === "NO_SUCH_CURSOR");
  assert.throws(
    () => client.commitLog.cursor(""),
    (fault: unknown) => fault instanceof Fault && fault.kind === "bad-request",
  );
});
