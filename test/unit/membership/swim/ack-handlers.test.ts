import assert from "node:assert/strict";
import { test } from "node:test";
import { AckHandlers } from "../../../../src/membership/swim/ack-handlers.ts";

test("an ack and a nack reach the handler of their sequence number, until it is removed", () => {
  const acks = new AckHandlers(0xffff_ffff);
  const calls: string[] = [];
  const first = acks.add({ onAck: () => calls.push("ack 1"), onNack: () => calls.push("nack 1") });
  const second = acks.add({ onAck: () => calls.push("ack 2") });
  assert.deepEqual([first, second], [0, 1], "sequence numbers wrap at 2^32");
  acks.receive({ kind: "nack", seqNo: first });
  acks.receive({ kind: "nack", seqNo: second });
  acks.receive({ kind: "ack", seqNo: second });
  acks.receive({ kind: "ack", seqNo: 7 });
  assert.equal(acks.remove(first), true);
  assert.equal(acks.remove(first), false);
  acks.receive({ kind: "ack", seqNo: first });
  assert.deepEqual(calls, ["nack 1", "ack 2"]);
});
