import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Fault } from "../../../../src/fault.ts";
import { prng } from "../../../../src/lib/prng.ts";
import {
  encodePeerFrame,
  type PeerFrameKind,
  peerFrameKinds,
  preamble,
  prefixBytes,
} from "../../../../src/peer/wire/peer-frame.ts";
import { PeerFrameReader } from "../../../../src/peer/wire/peer-frame-reader.ts";

interface Plain {
  readonly kind: PeerFrameKind;
  readonly head: readonly number[];
  readonly body: readonly number[];
}

const joined = (chunks: readonly Uint8Array[]): Buffer => Buffer.concat(chunks);
const encoded = ({ kind, head, body }: Plain): Buffer =>
  joined(
    encodePeerFrame(kind, Uint8Array.from(head), body.length === 0 ? [] : [Uint8Array.from(body)]).chunks,
  );

/** Reads a stream in chunks. `handshakeDone`: the handshake is complete after the preamble. */
function read(chunks: readonly Uint8Array[], handshakeDone = true): Plain[] {
  const frames: Plain[] = [];
  const reader = new PeerFrameReader(({ kind, head, body }) => {
    frames.push({ kind, head: [...head], body: [...body] });
  });
  if (handshakeDone) reader.completeHandshake();
  for (const chunk of chunks) reader.push(chunk);
  return frames;
}

function faultOf(work: () => unknown): Fault {
  try {
    work();
  } catch (reason) {
    if (reason instanceof Fault) return reason;
    throw reason;
  }
  throw new Error("nothing was thrown");
}
const why = (work: () => unknown): unknown => faultOf(work).facts["why"];

const afterHandshake = (Object.keys(peerFrameKinds) as PeerFrameKind[]).filter(
  (kind) => peerFrameKinds[kind].code > 3,
);
const frames: fc.Arbitrary<Plain> = fc.constantFrom(...afterHandshake).chain((kind) =>
  fc.record(
    {
      kind: fc.constant(kind),
      head: fc.array(fc.nat(255), { maxLength: 60 }),
      body: peerFrameKinds[kind].bodyMax === 0 ? fc.constant([]) : fc.array(fc.nat(255), { maxLength: 3000 }),
    },
    { noNullPrototype: true },
  ),
);

/** Splits a stream into chunks of these sizes, repeatedly. */
function cut(stream: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let [at, k] = [0, 0]; at < stream.length; k++) {
    const size = sizes[k % sizes.length]!;
    chunks.push(stream.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

describe("a reader of peer frames", () => {
  test("returns the frames that were sent, wherever the stream is split", () => {
    fc.assert(
      fc.property(
        fc.array(frames, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 }),
        (sent, sizes) => {
          const stream = joined([preamble, ...sent.map(encoded)]);
          assert.deepEqual(read(cut(stream, sizes)), sent);
        },
      ),
      { numRuns: 300, seed: 1 },
    );
  });

  test("returns a frame only when it is complete", () => {
    const sent: Plain = { kind: "append", head: [1, 2, 3], body: Array.from({ length: 40 }, (_, at) => at) };
    const stream = joined([preamble, encoded(sent)]);
    for (let end = 0; end < stream.length; end++) {
      assert.deepEqual(read([stream.subarray(0, end)]), []);
      assert.deepEqual(read([stream.subarray(0, end), stream.subarray(end)]), [sent]);
    }
  });

  test("accepts the marker of a plaintext port before the preamble", () => {
    const sent: Plain = { kind: "ping", head: [7], body: [] };
    assert.deepEqual(read([Uint8Array.of(0xa7), preamble, encoded(sent)]), [sent]);
    assert.equal(
      why(() => read([Uint8Array.of(0xa7, 0xa7)])),
      "preamble",
    );
  });

  test("copies a body, so that it does not keep the chunk alive or change with it", () => {
    const bodies: Uint8Array[] = [];
    const reader = new PeerFrameReader(({ body }) => bodies.push(body));
    reader.completeHandshake();
    const stream = joined([preamble, encoded({ kind: "append", head: [], body: [1, 2, 3] })]);
    reader.push(stream);
    stream.fill(9);
    assert.deepEqual([...bodies[0]!], [1, 2, 3]);
  });

  test("rejects another version of the framing with both numbers, and anything else as malformed", () => {
    const other = Uint8Array.from(preamble);
    other[7] = 2;
    const fault = faultOf(() => read([other]));
    assert.equal(fault.kind, "unsupported-version");
    assert.deepEqual(fault.facts, { found: 2, expected: 1 });
    assert.equal(
      why(() => read([Buffer.from("GET / HTTP/1.1\r\n")])),
      "preamble",
    );
  });

  test("rejects a length beyond the limit of its kind before memory is allocated", () => {
    for (const kind of afterHandshake) {
      const { code, headMax, bodyMax } = peerFrameKinds[kind];
      const prefix = Buffer.alloc(prefixBytes);
      prefix.writeUInt32BE(headMax + bodyMax + 1, 0);
      prefix[4] = code;
      prefix.writeUIntBE(headMax, 5, 3);
      assert.equal(
        why(() => read([preamble, prefix])),
        "length",
        kind,
      );
    }
    const endless = Buffer.from([0xff, 0xff, 0xff, 0xff, peerFrameKinds.snapshot.code, 0, 0, 1]);
    assert.equal(
      why(() => read([preamble, endless])),
      "length",
    );
  });

  test("rejects a head longer than its frame", () => {
    const prefix = Buffer.from([0, 0, 0, 2, peerFrameKinds.append.code, 0, 0, 3]);
    assert.equal(
      why(() => read([preamble, prefix])),
      "length",
    );
  });

  test("accepts the kinds of the handshake only before it is complete, and all others only after it", () => {
    const append = encoded({ kind: "append", head: [], body: [] });
    const hello = encoded({ kind: "hello", head: [], body: [] });
    assert.equal(
      why(() => read([preamble, append], false)),
      "early",
    );
    assert.equal(
      why(() => read([preamble, hello], true)),
      "unexpected",
    );
    assert.equal(
      why(() => read([preamble, Buffer.from([0, 0, 0, 0, 99, 0, 0, 0])])),
      "kind",
    );
  });

  test("ignores the rest of a chunk after stop()", () => {
    const seen: string[] = [];
    const reader = new PeerFrameReader(({ kind }) => {
      seen.push(kind);
      reader.stop();
    });
    reader.completeHandshake();
    const ping = encoded({ kind: "ping", head: [1], body: [] });
    reader.push(joined([preamble, ping, ping]));
    reader.push(ping);
    assert.deepEqual(seen, ["ping"]);
  });

  test("throws only faults for random bytes", () => {
    const random = prng("peer noise");
    for (let round = 0; round < 5_000; round++) {
      const reader = new PeerFrameReader(() => undefined);
      if (random.chance(0.8)) reader.completeHandshake();
      const chunks = [Uint8Array.from({ length: random.between(1, 60) }, () => random.between(0, 255))];
      if (random.chance(0.9)) chunks.unshift(preamble);
      // Often a length within the limits.
      if (random.chance(0.7)) chunks[chunks.length - 1]!.fill(0, 0, 3);
      try {
        for (const chunk of chunks) reader.push(chunk);
      } catch (reason) {
        assert.ok(reason instanceof Fault, String(reason));
      }
    }
  });
});
