import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type BodyPart, MessageSplitter } from "../../../../src/api/request-limits/message-splitter.ts";
import { encodeEnvelope } from "../../../../src/lib/envelope.ts";

const envelope = (flags: number, message: Uint8Array): Uint8Array => encodeEnvelope(message, flags);

function run(body: Buffer, cuts: readonly number[], bytesMax: number, isTaken: (length: number) => boolean) {
  const splitter = new MessageSplitter(bytesMax, isTaken);
  const pieces: BodyPart[] = [];
  let from = 0;
  for (const cut of [...cuts, body.length]) {
    pieces.push(...splitter.push(body.subarray(from, cut)));
    from = cut;
  }
  return [...pieces, ...splitter.end()];
}

/** Returns the body as Connect gets it. */
const joined = (pieces: readonly BodyPart[]): Buffer =>
  Buffer.concat(
    pieces.map((piece) => {
      if (piece.kind === "bytes") return piece.bytes;
      return piece.kind === "message" ? envelope(piece.flags, piece.bytes) : Buffer.alloc(0);
    }),
  );

test("however a body is cut, its bytes come out in order, and each taken message comes out whole, with its number", () => {
  const messages = fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.uint8Array({ maxLength: 12 })), {
    maxLength: 8,
  });
  fc.assert(
    fc.property(messages, fc.array(fc.nat(200)), fc.nat(12), fc.nat(9), (sent, at, takenFrom, missing) => {
      const whole = Buffer.concat(sent.map(([flags, message]) => envelope(flags, message)));
      const body = whole.subarray(0, Math.max(0, whole.length - missing));
      const cuts = at.map((cut) => cut % (body.length + 1)).sort((one, other) => one - other);
      const pieces = run(body, cuts, 100, (length) => length >= takenFrom);
      assert.deepEqual(joined(pieces), Buffer.from(body));
      if (missing > 0) return;
      const expected = sent.flatMap(([flags, message], number) =>
        message.length >= takenFrom ? [{ number, flags, bytes: [...message] }] : [],
      );
      const taken = pieces.flatMap((piece) =>
        piece.kind === "message"
          ? [{ number: piece.number, flags: piece.flags, bytes: [...piece.bytes] }]
          : [],
      );
      assert.deepEqual(taken, expected);
    }),
  );
});

test("a message that is too long is passed on, with everything after it", () => {
  const body = Buffer.concat([
    envelope(0, Buffer.alloc(3)),
    envelope(0, Buffer.alloc(11)),
    envelope(0, Buffer.alloc(9)),
  ]);
  for (const cuts of [[], [9], [8, 12], [10, 13]]) {
    const pieces = run(body, cuts, 10, (length) => length > 2);
    assert.equal(pieces.filter(({ kind }) => kind === "message").length, 1);
    assert.deepEqual(joined(pieces), body);
  }
});

test("there is a turn after every 512 messages that are passed on", () => {
  const body = Buffer.alloc(5 * 2000);
  const pieces = run(body, [], 10, () => false);
  assert.equal(pieces.filter(({ kind }) => kind === "turn").length, 3);
  assert.deepEqual(joined(pieces), body);
});
