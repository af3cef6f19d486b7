import assert from "node:assert/strict";
import { test } from "node:test";
import { GroupBuilder } from "../../../../src/log/append/group-builder.ts";
import {
  batchKind,
  frameCommand,
  frameKind,
  framePayload,
  frameRecordCount,
  sealFrame,
} from "../../../../src/log/frame/frame.ts";
import { checkPayload } from "../../../../src/log/frame/payload.ts";
import {
  decodeStreamCommand,
  encodeStreamCommand,
  frameStream,
  type StreamCommand,
  streamCommandOf,
} from "../../../../src/log/frame/stream-command.ts";
import { decodeRecord, RecordCursor } from "../../../../src/log/mod.ts";
import { run } from "../../../support/log/logs.ts";

const whole: StreamCommand = {
  producer: { name: 'a"\\é', subject: "ann", epoch: 2 ** 53 - 1, sequence: 7 },
  order: "0001",
  closes: true,
};
const noRecords = { bytes: new Uint8Array(0), count: 0 };
const place = { index: 5, term: 1, baseOffset: 3, timestampMs: 1 };

function frameOf(records: ReturnType<typeof run>, command: Uint8Array, logId = 1): Uint8Array {
  const builder = new GroupBuilder(1024);
  builder.add(records, undefined, true, { logId, baseOffset: 3 }, command);
  const [frame] = builder.drafts();
  sealFrame(frame!, 0, frame!.length, place, 0);
  return frame!;
}

test("a command survives its bytes, also with nothing in it", () => {
  for (const command of [whole, {}, { order: "x" }, { closes: true as const }])
    assert.deepEqual(decodeStreamCommand(encodeStreamCommand(command)), command);
  const head = { producer: { name: "p", epoch: 1, sequence: 2 }, order: "o" };
  assert.deepEqual(streamCommandOf(head, "ann"), { ...head, producer: { ...head.producer, subject: "ann" } });
});

test("what is no command of a stream is corrupt; unknown keys are ignored", () => {
  assert.deepEqual(decodeStreamCommand(Buffer.from('{"later":1}')), {});
  const long = "x".repeat(256);
  for (const text of [
    ...["", "1", "[]", '{"order":""}', `{"order":"${long}"}`, '{"closes":false}', '{"producer":[]}'],
    ...['{"producer":["","s",0,0]}', '{"producer":["n","s",-1,0]}', '{"producer":["n","s",0,0.5]}'],
    `{"producer":["n","${long}",0,0]}`,
  ])
    assert.throws(() => decodeStreamCommand(Buffer.from(text)), { kind: "corrupt" }, text);
});

test("the command of a data batch stands before its records, which every reader finds", () => {
  const frame = frameOf(run("one", "two"), encodeStreamCommand(whole));
  assert.equal(checkPayload(frame, 0), undefined);
  assert.deepEqual(frameStream(frame, 0), whole);
  assert.deepEqual([frameKind(frame, 0), frameRecordCount(frame, 0)], [batchKind.data, 2]);
  assert.equal(frame[framePayload(frame, 0)], 0x0a);
  const cursor = new RecordCursor(frame, 4);
  assert.ok(cursor.next());
  assert.equal(cursor.offset, 4);
  assert.equal(Buffer.from(decodeRecord(frame, cursor.start, cursor.end).value).toString(), "two");
  assert.equal(cursor.next(), false);
});

test("an append without records is a close with the command", () => {
  const frame = frameOf(noRecords, encodeStreamCommand(whole));
  assert.deepEqual([frameKind(frame, 0), frameRecordCount(frame, 0)], [batchKind.closeLog, 0]);
  assert.equal(checkPayload(frame, 0), undefined);
  assert.deepEqual(frameStream(frame, 0), whole);
});

test("a batch whose command is malformed, or that is one of the log default, has a flaw", () => {
  assert.equal(checkPayload(frameOf(run("one"), Buffer.from("{}"), 0), 0), "command");
  assert.equal(checkPayload(frameOf(run("one"), Buffer.from("[]")), 0), "records");
  assert.equal(checkPayload(frameOf(noRecords, Buffer.from("[]")), 0), "command");
  const frame = frameOf(run("one"), Buffer.from("{}"));
  assert.equal(Buffer.from(frameCommand(frame, 0)).toString(), "{}");
  // The length of the command passes the end of the batch.
  frame[64] = 0x7f;
  assert.equal(checkPayload(frame, 0), "command");
});
