/** A tail of a log that receives no more records ends with the reason, after the records that the log has. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { Broadcast } from "../../../../src/lib/broadcast.ts";
import { LogTail, type TailedLog } from "../../../../src/log/mod.ts";
import { outOfRange } from "../../../../src/log/read/reader.ts";

/** A log with `count` records, of one batch each. */
function logOf(count: number) {
  const log = {
    bounds: { lowest: 0, next: count },
    changed: new Broadcast(),
    closed: false,
    cutOff: undefined as Fault | undefined,
    ended: false,
    reader: {
      take: (offset: number) =>
        offset < log.bounds.next
          ? { frames: new Uint8Array(1), firstOffset: offset, nextOffset: offset + 1 }
          : undefined,
      batchBytes: () => 1,
    },
  };
  return log satisfies TailedLog;
}
const reason = new Fault("unavailable", { message: "this node was removed from its cluster" });
const isReason = (thrown: unknown): boolean => thrown === reason;

test("a tail that waits at the end fails when the log is cut off", async () => {
  const log = logOf(1);
  using tail = new LogTail(log, 1);
  assert.equal(tail.take(), undefined);
  const ready = tail.ready();
  log.cutOff = reason;
  log.changed.notify();
  assert.equal(await ready, true);
  assert.throws(() => tail.take(), isReason);
});

test("a tail of a log that is cut off returns the records that the log has, and then fails", async () => {
  const log = logOf(2);
  log.cutOff = reason;
  using tail = new LogTail(log, 0);
  assert.equal(tail.take()?.nextOffset, 1);
  assert.equal(tail.take()?.nextOffset, 2);
  assert.equal(await tail.ready(), true);
  assert.throws(() => tail.take(), isReason);
  log.cutOff = undefined;
  assert.equal(tail.take(), undefined, "the log receives records again");
});

test("a tail of a closed log returns its records, and then ends", async () => {
  const log = logOf(1);
  using waiting = new LogTail(log, 1);
  const ready = waiting.ready();
  log.ended = true;
  log.changed.notify();
  assert.equal(await ready, false);
  using tail = new LogTail(log, 0);
  assert.equal(await tail.ready(), true);
  assert.equal(tail.take()?.nextOffset, 1);
  assert.equal(await tail.ready(), false);
});

test("a tail cannot begin beyond the end", () => {
  const log = logOf(2);
  assert.throws(
    () => new LogTail(log, 3),
    (thrown) => thrown instanceof Fault && thrown.message === outOfRange(3, log.bounds).message,
  );
});
