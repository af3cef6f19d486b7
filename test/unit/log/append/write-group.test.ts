import assert from "node:assert/strict";
import { test } from "node:test";
import { AppendQueue } from "../../../../src/log/append/append-queue.ts";
import { frameLogId, frameRecordCount } from "../../../../src/log/mod.ts";
import { run } from "../../../support/log/logs.ts";

const owner = { log: undefined, subject: "s" };

test("the frames of several logs lie one after another in one buffer, those of a log together", () => {
  const queue = new AppendQueue({ bytesMax: 1e6, appendsMax: 1000 });
  for (let at = 0; at < 40; at++) {
    const logId = at % 4;
    const target = logId === 0 ? undefined : { logId, baseOffset: Math.floor(at / 4) };
    queue.add({ run: run("a".repeat(at)), target, owner, traceparent: `trace ${at}` });
  }
  const group = queue.take()!;
  assert.equal(queue.empty, true);
  const drafts = group.drafts();
  assert.deepEqual(
    drafts.map((draft) => [frameLogId(draft, 0), frameRecordCount(draft, 0)]),
    [0, 1, 2, 3].map((logId) => [logId, 10]),
  );
  for (const [at, draft] of drafts.entries()) {
    const next = drafts[at + 1];
    if (next === undefined) continue;
    assert.equal(next.buffer, draft.buffer);
    assert.equal(next.byteOffset, draft.byteOffset + draft.length);
  }
  const bytes = drafts.reduce((sum, { length }) => sum + length, 0);
  assert.deepEqual([group.usedBytes, group.batches, group.hasRecords], [bytes, 4, true]);
  assert.deepEqual([group.recordsOf(2), group.recordsOf(9), group.bytesOf(9)], [10, 0, 0]);
  assert.equal(group.traces().length, 40);
});

test("a group of one log is not copied", () => {
  const queue = new AppendQueue({ bytesMax: 1e6, appendsMax: 1000 });
  const { group } = queue.add({ run: run("a", "b"), owner });
  const [draft] = queue.take()!.drafts();
  const [own] = group.builder.drafts();
  assert.deepEqual([draft!.buffer, draft!.byteOffset], [own!.buffer, own!.byteOffset]);
});
