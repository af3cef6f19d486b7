import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EnvelopeReader } from "../../../../src/api/fast-path/envelope-reader.ts";
import { Fault } from "../../../../src/fault.ts";
import { encodeEnvelope } from "../../../../src/lib/envelope.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { MemoryBudget } from "../../../../src/memory/memory-budget.ts";

test("messages are found however the body is cut into chunks", () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 });
  fc.assert(
    fc.property(messages, fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1 }), (sent, cuts) => {
      const body = Buffer.concat(sent.map((message, at) => encodeEnvelope(message, at % 2)));
      const reader = new EnvelopeReader(
        1000,
        new MemoryBudget({ limit: 1e9, clock: systemClock }).share("in"),
      );
      const got: string[] = [];
      for (let at = 0, turn = 0; at < body.length; turn++) {
        const end = at + (cuts[turn % cuts.length] as number);
        reader.push(body.subarray(at, end));
        at = end;
        while (reader.take()) {
          assert.equal(reader.flags, got.length % 2);
          got.push(Buffer.from(reader.bytes.subarray(reader.start, reader.end)).toString("hex"));
        }
      }
      assert.deepEqual(
        got,
        sent.map((message) => Buffer.from(message).toString("hex")),
      );
      assert.equal(reader.pending, 0);
    }),
    { seed: 5, numRuns: 500 },
  );
});

test("a length above the limit is refused before the message arrives", () => {
  const reader = new EnvelopeReader(100, new MemoryBudget({ limit: 1e9, clock: systemClock }).share("in"));
  reader.push(Buffer.from([0, 0, 0, 0, 101]));
  assert.throws(
    () => reader.take(),
    (reason) => reason instanceof Fault && reason.kind === "too-large" && reason.facts["limit"] === 100,
  );
});

test("a large message in small chunks is joined in a buffer of its size, which grows with what has arrived", () => {
  const message = Buffer.alloc(4 * 1024 * 1024, 7);
  const body = encodeEnvelope(message);
  const memory = new MemoryBudget({ limit: 1e9, clock: systemClock });
  const reader = new EnvelopeReader(message.length, memory.share("in"));
  let moves = 0;
  let room = reader.bytes.buffer;
  for (let at = 0; at < body.length; at += 1024) {
    reader.push(body.subarray(at, at + 1024));
    if (reader.bytes.buffer !== room) moves++;
    room = reader.bytes.buffer;
    assert.ok(memory.bytes <= Math.min(4 * (at + 1024), body.length));
    if (at + 1024 < body.length) assert.equal(reader.take(), false);
  }
  assert.ok(reader.take());
  assert.deepEqual(Buffer.from(reader.bytes.subarray(reader.start, reader.end)), message);
  assert.ok(moves < 10, `moved ${moves} times`);
});

test("incomplete messages count in one budget, are refused above it, and no longer count when complete", () => {
  const held = new MemoryBudget({ limit: 730_000, clock: systemClock });
  const begun = encodeEnvelope(Buffer.alloc(200_000));
  const readers = [0, 1, 2].map(() => new EnvelopeReader(4_000_000, held.share("in")));
  const push = (reader: EnvelopeReader, from: number, to: number): boolean => {
    reader.push(begun.subarray(from, to));
    return reader.take();
  };
  const [first, second, third] = readers as [EnvelopeReader, EnvelopeReader, EnvelopeReader];
  for (const reader of readers) assert.equal(push(reader, 0, 100_000), false);
  assert.equal(held.bytes, 300_000, "the part of a message in a chunk that is not copied");
  assert.equal(push(first, 100_000, 199_999), false);
  assert.equal(push(second, 100_000, 199_999), false);
  assert.throws(() => push(third, 100_000, 199_999), { name: "Fault", kind: "overloaded" });
  assert.equal(push(first, 199_999, begun.length), true);
  assert.equal(first.take(), false);
  assert.ok(held.bytes <= 300_010, "when memory is tight, a reader between messages keeps no buffer");
  assert.equal(push(third, 100_000, 199_999), false);
});
