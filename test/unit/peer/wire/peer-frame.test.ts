import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Fault } from "../../../../src/fault.ts";
import { prng } from "../../../../src/lib/prng.ts";
import {
  encodePeerFrame,
  type PeerFrameKind,
  PeerFrameReader,
  peerFrameKinds,
  preamble,
  prefixBytes,
} from "../../../../src/peer/wire/peer-frame.ts";

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

/** Reads a stream cut into chunks; the handshake counts as over after the preamble, or not. */
function read(chunks: readonly Uint8Array[], greeted = true): Plain[] {
  const frames: Plain[] = [];
  const reader = new PeerFrameReader(({ kind, head, body }) => {
    frames.push({ kind, head: [...head], body: [...body] });
  });
  if (greeted) reader.greeted();
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

const late = (Object.keys(peerFrameKinds) as PeerFrameKind[]).filter((kind) => peerFrameKinds[kind].code > 3);
const frames: fc.Arbitrary<Plain> = fc.constantFrom(...late).chain((kind) =>
  fc.record(
    {
      kind: fc.constant(kind),
      head: fc.array(fc.nat(255), { maxLength: 60 }),
      body: peerFrameKinds[kind].bodyMax === 0 ? fc.constant([]) : fc.array(fc.nat(255), { maxLength: 3000 }),
    },
    { noNullPrototype: true },
  ),
);

/** The stream in chunks of these sizes, over and over. */
function cut(stream: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let [at, k] = [0, 0]; at < stream.length; k++) {
    const size = sizes[k % sizes.length]!;
    chunks.push(stream.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

describe("the stream between peers", () => {
  test("frames come out as they went in, however the stream is cut", () => {
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

  test("cut at any byte, a frame is only there once all of it is", () => {
    const sent: Plain = { kind: "append", head: [1, 2, 3], body: Array.from({ length: 40 }, (_, at) => at) };
    const stream = joined([preamble, encoded(sent)]);
    for (let end = 0; end < stream.length; end++) {
      assert.deepEqual(read([stream.subarray(0, end)]), []);
      assert.deepEqual(read([stream.subarray(0, end), stream.subarray(end)]), [sent]);
    }
  });

  test("the marker of a plaintext port may still stand in front", () => {
    const sent: Plain = { kind: "ping", head: [7], body: [] };
    assert.deepEqual(read([Uint8Array.of(0xa7), preamble, encoded(sent)]), [sent]);
    assert.equal(
      why(() => read([Uint8Array.of(0xa7, 0xa7)])),
      "preamble",
    );
  });

  test("a body is memory of its own: it keeps no chunk alive and does not change with it", () => {
    const bodies: Uint8Array[] = [];
    const reader = new PeerFrameReader(({ body }) => bodies.push(body));
    reader.greeted();
    const stream = joined([preamble, encoded({ kind: "append", head: [], body: [1, 2, 3] })]);
    reader.push(stream);
    stream.fill(9);
    assert.deepEqual([...bodies[0]!], [1, 2, 3]);
  });

  test("pieces of a large body are sent by reference", () => {
    const piece = new Uint8Array(5000);
    const { chunks, bytes } = encodePeerFrame("append", Uint8Array.of(1), [piece, piece]);
    assert.equal(chunks[1], piece);
    assert.equal(chunks[2], piece);
    assert.equal(bytes, prefixBytes + 1 + 10_000);
  });

  test("what is larger than its kind may be is not sent", () => {
    const fault = faultOf(() => encodePeerFrame("ping", new Uint8Array(65)));
    assert.equal(fault.kind, "too-large");
    assert.equal(
      faultOf(() => encodePeerFrame("message", new Uint8Array(1), [new Uint8Array(1)])).kind,
      "too-large",
    );
  });

  test("another format is told by its number, anything else is no stream of peers", () => {
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

  test("a length beyond the kind's limit is refused before anything of it has come", () => {
    for (const kind of late) {
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

  test("a head longer than its frame is refused", () => {
    const prefix = Buffer.from([0, 0, 0, 2, peerFrameKinds.append.code, 0, 0, 3]);
    assert.equal(
      why(() => read([preamble, prefix])),
      "length",
    );
  });

  test("before the handshake only its own kinds may come, and never again after it", () => {
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

  test("once stopped, the rest of a chunk is ignored", () => {
    const seen: string[] = [];
    const reader = new PeerFrameReader(({ kind }) => {
      seen.push(kind);
      reader.stop();
    });
    reader.greeted();
    const ping = encoded({ kind: "ping", head: [1], body: [] });
    reader.push(joined([preamble, ping, ping]));
    reader.push(ping);
    assert.deepEqual(seen, ["ping"]);
  });

  test("noise ends in a fault or in silence, never in anything else", () => {
    const random = prng("peer noise");
    for (let round = 0; round < 5_000; round++) {
      const reader = new PeerFrameReader(() => undefined);
      if (random.chance(0.8)) reader.greeted();
      const chunks = [Uint8Array.from({ length: random.between(1, 60) }, () => random.between(0, 255))];
      if (random.chance(0.9)) chunks.unshift(preamble);
      // Often a length that could be meant.
      if (random.chance(0.7)) chunks[chunks.length - 1]!.fill(0, 0, 3);
      try {
        for (const chunk of chunks) reader.push(chunk);
      } catch (reason) {
        assert.ok(reason instanceof Fault, String(reason));
      }
    }
  });
});
