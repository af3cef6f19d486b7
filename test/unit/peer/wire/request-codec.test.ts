import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Fault } from "../../../../src/fault.ts";
import { prng } from "../../../../src/lib/prng.ts";
import {
  type EncodedPeerFrame,
  type PeerFrame,
  PeerFrameReader,
  preamble,
} from "../../../../src/peer/wire/peer-frame.ts";
import {
  appendRequest,
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeFailure,
  encodeRequest,
  packAppended,
  runOf,
  trimRequest,
  unpackAppended,
  unpackOffset,
  valueIn,
  valueRequest,
} from "../../../../src/peer/wire/request-codec.ts";
import type { AppendOptions } from "../../../../src/types.ts";
import { run } from "../../../support/logs.ts";

function carried({ chunks }: EncodedPeerFrame): PeerFrame {
  let found: PeerFrame | undefined;
  const reader = new PeerFrameReader((frame) => {
    found = { ...frame, head: Uint8Array.from(frame.head) };
  });
  reader.greeted();
  reader.push(Buffer.concat([preamble, ...chunks]));
  assert.ok(found);
  return found;
}

const whole = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const options: fc.Arbitrary<AppendOptions> = fc.record(
  {
    subject: fc.string({ maxLength: 60 }),
    traceparent: fc.string({ maxLength: 55 }),
    expectedOffset: whole,
    producer: fc.record({
      subject: fc.string({ maxLength: 60 }),
      id: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      epoch: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      sequence: whole,
    }),
  },
  { requiredKeys: [], noNullPrototype: true },
);

const kindOf = (work: () => unknown): string => {
  try {
    work();
  } catch (reason) {
    assert.ok(reason instanceof Fault, String(reason));
    return reason.kind;
  }
  return "taken";
};

describe("requests between peers", () => {
  test("an append comes out as it went in, with all that belongs to it", () => {
    fc.assert(
      fc.property(
        whole,
        options,
        fc.array(fc.string(), { minLength: 1, maxLength: 5 }),
        (id, given, values) => {
          const records = run(...values);
          const request = decodeRequest(carried(encodeRequest(id, appendRequest(records, given), 1234.5)));
          assert.equal(request.id, id);
          assert.equal(request.verb, "append");
          assert.equal(request.remainingMs, 1235);
          assert.deepEqual(JSON.parse(plain(request.options)), JSON.parse(plain(given)));
          const found = runOf(request);
          assert.equal(found.count, values.length);
          assert.deepEqual([...found.bytes], [...records.bytes]);
        },
      ),
      { numRuns: 200, seed: 5 },
    );
  });

  test("a trim and a question carry one value", () => {
    const trim = decodeRequest(carried(encodeRequest(1, trimRequest(77, { subject: "s" }), 5)));
    assert.equal(valueIn(trim), 77);
    assert.equal(trim.options.subject, "s");
    const asked = decodeRequest(carried(encodeRequest(2, valueRequest("join", { a: [1, null] }), 5)));
    assert.deepEqual([asked.verb, valueIn(asked)], ["join", { a: [1, null] }]);
  });

  test("what was left out of a run, or added to it, is noticed", () => {
    const sound = decodeRequest(carried(encodeRequest(1, appendRequest(run("a", "b"), {}), 5)));
    assert.equal(
      kindOf(() => runOf({ ...sound, count: 1 })),
      "bad-request",
    );
    assert.equal(
      kindOf(() => runOf({ ...sound, body: sound.body.subarray(0, 3) })),
      "bad-record",
    );
    assert.equal(
      kindOf(() => runOf({ ...sound, body: Uint8Array.of(0x12, 0) })),
      "bad-record",
    );
  });

  test("answers carry a value or a fault; what cannot travel becomes one", () => {
    const value = decodeAnswer(carried(encodeAnswer(9, [1, "x"])));
    assert.deepEqual(value, { id: 9, value: [1, "x"], fault: undefined });
    const failed = decodeAnswer(
      carried(encodeFailure(9, new Fault("disk-full", { facts: { freeBytes: 1 } }))),
    );
    assert.equal(failed.fault?.kind, "disk-full");
    assert.deepEqual(failed.fault?.facts, { freeBytes: 1 });
    assert.equal(decodeAnswer(carried(encodeAnswer(9, new Date(0)))).fault !== undefined, true);
    const huge = decodeAnswer(carried(encodeAnswer(9, "x".repeat(5_000_000))));
    assert.equal(huge.fault?.kind, "too-large");
  });

  test("what an append came to is looked at: nonsense may have been written", () => {
    const appended = { firstOffset: 3, count: 2, timestampMs: 5, duplicate: true };
    assert.deepEqual(unpackAppended(packAppended(appended)), appended);
    for (const value of [undefined, 1, [], [1, 2, 3], [-1, 1, 1, true], [1, 1, 1, 1]]) {
      assert.equal(
        kindOf(() => unpackAppended(value)),
        "unknown",
      );
    }
    assert.equal(unpackOffset(4), 4);
    assert.equal(
      kindOf(() => unpackOffset("4")),
      "unknown",
    );
  });

  test("noise for a head, or a body, is refused and nothing else", () => {
    const random = prng("request noise");
    const producer = { subject: "s", id: 5n, epoch: 1, sequence: 2 };
    const request = carried(encodeRequest(1, appendRequest(run("a"), { producer, subject: "s" }), 100));
    const answer = carried(encodeAnswer(1, [1, 2, 3, true]));
    const ends = new Map<string, number>();
    for (let round = 0; round < 10_000; round++) {
      const [frame, decode] = random.chance(0.5) ? [request, decodeRequest] : [answer, decodeAnswer];
      const [head, body] = [Uint8Array.from(frame.head), Uint8Array.from(frame.body)];
      for (let flips = random.between(1, 3); flips > 0; flips--) {
        const part = random.chance(0.7) ? head : body;
        part[random.between(0, part.length - 1)] = random.between(0, 255);
      }
      const cut = random.chance(0.2) ? head.subarray(0, random.between(0, head.length)) : head;
      const end = kindOf(() => decode({ ...frame, head: cut, body }));
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
    assert.deepEqual([...ends.keys()].toSorted(), ["bad-request", "taken"]);
  });
});

const plain = (value: unknown): string =>
  JSON.stringify(value, (_key, each: unknown) => (typeof each === "bigint" ? String(each) : each));
