import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Fault } from "../../../../src/fault.ts";
import { prng } from "../../../../src/lib/prng.ts";
import { type EncodedPeerFrame, type PeerFrame, preamble } from "../../../../src/peer/wire/peer-frame.ts";
import { PeerFrameReader } from "../../../../src/peer/wire/peer-frame-reader.ts";
import {
  appendRequest,
  decodeRecords,
  decodeRequest,
  decodeValue,
  encodeRequest,
  trimRequest,
  valueRequest,
} from "../../../../src/peer/wire/request-codec.ts";
import type { AppendOptions } from "../../../../src/types.ts";
import { run } from "../../../support/log/logs.ts";

/** Sends a frame through a stream and returns the received one. */
function transfer({ chunks }: EncodedPeerFrame): PeerFrame {
  let found: PeerFrame | undefined;
  const reader = new PeerFrameReader((frame) => {
    found = { ...frame, head: Uint8Array.from(frame.head) };
  });
  reader.completeHandshake();
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

describe("requests between nodes", () => {
  test("an append is decoded as it was encoded, with its options", () => {
    fc.assert(
      fc.property(
        whole,
        options,
        fc.array(fc.string(), { minLength: 1, maxLength: 5 }),
        (id, given, values) => {
          const records = run(...values);
          const request = decodeRequest(transfer(encodeRequest(id, appendRequest(records, given), 1234.5)));
          assert.equal(request.id, id);
          assert.equal(request.verb, "append");
          assert.equal(request.remainingMs, 1235);
          assert.deepEqual(JSON.parse(plain(request.options)), JSON.parse(plain(given)));
          const found = decodeRecords(request);
          assert.equal(found.count, values.length);
          assert.deepEqual([...found.bytes], [...records.bytes]);
        },
      ),
      { numRuns: 200, seed: 5 },
    );
  });

  test("an append of a stream is decoded as it was encoded, and a close has no records", () => {
    const log = { name: "a", id: 3, life: 9 };
    const whole = {
      producer: { name: "p", epoch: 2 ** 40, sequence: 7 },
      order: "001",
      closes: true as const,
    };
    for (const stream of [{}, whole, { closes: true as const }, { order: "x" }]) {
      const request = decodeRequest(transfer(encodeRequest(1, appendRequest(run("v"), { log, stream }), 5)));
      assert.deepEqual(request.options, { log, stream });
    }
    const none = { bytes: new Uint8Array(0), count: 0 };
    const sent = (stream: object) =>
      decodeRecords(decodeRequest(transfer(encodeRequest(1, appendRequest(none, { log, stream }), 5))));
    assert.equal(sent({ closes: true }).count, 0);
    for (const stream of [
      { order: "" },
      { order: "x".repeat(256) },
      { producer: { name: "p", epoch: -1, sequence: 0 } },
    ])
      assert.equal(
        kindOf(() => decodeRequest(transfer(encodeRequest(1, appendRequest(run("v"), { log, stream }), 5)))),
        "bad-request",
      );
  });

  test("a trim and a request of a service have one value", () => {
    const trim = decodeRequest(transfer(encodeRequest(1, trimRequest(77, { subject: "s" }), 5)));
    assert.equal(decodeValue(trim), 77);
    assert.equal(trim.options.subject, "s");
    const asked = decodeRequest(transfer(encodeRequest(2, valueRequest("join", { a: [1, null] }), 5)));
    assert.deepEqual([asked.verb, decodeValue(asked)], ["join", { a: [1, null] }]);
  });

  test("records are rejected if they are invalid or not as many as announced", () => {
    const valid = decodeRequest(transfer(encodeRequest(1, appendRequest(run("a", "b"), {}), 5)));
    assert.equal(
      kindOf(() => decodeRecords({ ...valid, count: 1 })),
      "bad-request",
    );
    assert.equal(
      kindOf(() => decodeRecords({ ...valid, body: valid.body.subarray(0, 3) })),
      "bad-record",
    );
    assert.equal(
      kindOf(() => decodeRecords({ ...valid, body: Uint8Array.of(0x12, 0) })),
      "bad-record",
    );
  });

  test("random heads and bodies are decoded or rejected as bad requests", () => {
    const random = prng("request noise");
    const producer = { subject: "s", id: 5n, epoch: 1, sequence: 2 };
    const request = transfer(encodeRequest(1, appendRequest(run("a"), { producer, subject: "s" }), 100));
    const ends = new Map<string, number>();
    for (let round = 0; round < 10_000; round++) {
      const [head, body] = [Uint8Array.from(request.head), Uint8Array.from(request.body)];
      for (let flips = random.between(1, 3); flips > 0; flips--) {
        const part = random.chance(0.7) ? head : body;
        part[random.between(0, part.length - 1)] = random.between(0, 255);
      }
      const cut = random.chance(0.2) ? head.subarray(0, random.between(0, head.length)) : head;
      const end = kindOf(() => decodeRequest({ ...request, head: cut, body }));
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
    assert.deepEqual([...ends.keys()].toSorted(), ["bad-request", "taken"]);
  });
});

const plain = (value: unknown): string =>
  JSON.stringify(value, (_key, each: unknown) => (typeof each === "bigint" ? String(each) : each));
