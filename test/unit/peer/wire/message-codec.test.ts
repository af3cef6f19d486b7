import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Fault } from "../../../../src/fault.ts";
import { prng } from "../../../../src/lib/prng.ts";
import {
  batchKind,
  chainStart,
  defaultSettings,
  emptyCheckpoint,
  encodeFrame as encodeLogFrame,
  frameCrc,
  type LogStart,
  LogState,
} from "../../../../src/log/mod.ts";
import { checkSnapshot, decodeMessage, encodeMessage } from "../../../../src/peer/wire/message-codec.ts";
import {
  type EncodedPeerFrame,
  encodePeerFrame,
  type PeerFrame,
  preamble,
} from "../../../../src/peer/wire/peer-frame.ts";
import { PeerFrameReader } from "../../../../src/peer/wire/peer-frame-reader.ts";
import { type Entry, emptyConfState, type Message, message } from "../../../../src/raft/mod.ts";
import { encodeChange, entryOf } from "../../../../src/replication/storage/entries.ts";
import { FrameFormat } from "../../../../src/replication/storage/frame-format.ts";
import { pack } from "../../../../src/replication/storage/msgpack.ts";

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

const none = new Uint8Array(0);

/** Consecutive entries from `first` on, in one term. Some change the configuration. */
function entries(first: number, count: number, term: number, payload = 20): Entry[] {
  const made: Entry[] = [];
  let [crc, baseOffset] = [7, 0];
  for (let k = 0; k < count; k++) {
    const configures = k % 3 === 2;
    const kind = configures ? batchKind.configuration : batchKind.data;
    const command = configures
      ? encodeChange({ transition: "auto", changes: [{ action: "voter", peer: 5 }] })
      : Uint8Array.from([0x0a, payload, 0x0a, payload - 2, ...new Uint8Array(payload - 2)]);
    const header = {
      index: first + k,
      term,
      baseOffset,
      timestampMs: 1000 + k,
      recordCount: configures ? 0 : 1,
      kind,
    };
    const bytes = encodeLogFrame(header, command, crc);
    crc = frameCrc(bytes, 0);
    baseOffset += header.recordCount;
    made.push(entryOf(bytes));
  }
  return made;
}

/** The data of a snapshot at index 5 and term 2. */
const start: LogStart = {
  end: { index: 5, term: 2, nextOffset: 3, timestampMs: 1000, crc: 7 },
  checkpoint: {
    ...emptyCheckpoint,
    index: 5,
    settings: defaultSettings,
    configuration: { index: 1, command: Uint8Array.of(1) },
    producers: [["s", 2n ** 64n - 1n, 0, [[4, 0, 1, 2, 1000]]]],
  },
};

/** Two entries of one chain with a gap in their offsets. */
function withGap(): Entry[] {
  const [first] = entries(12, 1, 9);
  const header = {
    index: 13,
    term: 9,
    baseOffset: 5,
    timestampMs: 1001,
    recordCount: 0,
    kind: batchKind.noOp,
  };
  return [first!, entryOf(encodeLogFrame(header, none, frameCrc(first!.bytes, 0)))];
}

const plain = (received: Message): unknown => ({
  ...received,
  entries: received.entries.map(({ bytes, ...rest }) => ({ ...rest, bytes: [...bytes] })),
});

const whole = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));
const place = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 48 }));
const small: fc.Arbitrary<Message> = fc
  .record({
    type: fc.constantFrom(
      "append-response" as const,
      "vote" as const,
      "vote-response" as const,
      "pre-vote" as const,
      "pre-vote-response" as const,
      "heartbeat" as const,
      "heartbeat-response" as const,
      "transfer-leader" as const,
      "timeout-now" as const,
      "read-index" as const,
      "read-index-response" as const,
    ),
    from: whole,
    to: whole,
    term: fc.nat(0xffff_0000),
    index: place,
    logTerm: fc.nat(0xffff_ffff),
    commit: place,
    vote: whole,
    reject: fc.boolean(),
    rejectHint: place,
    context: whole,
  })
  .map(({ type, to, ...fields }) => message(type, to, fields));

const format = new FrameFormat(
  { endAt: () => chainStart, end: chainStart, term: () => 0, state: LogState.from(emptyCheckpoint) },
  { stampMs: () => 0 },
);

/** Decodes a message and checks its entries, as a node does. */
function receive(frame: PeerFrame): Message {
  const found = decodeMessage(frame);
  if (found.snapshot !== undefined) for (const _ of checkSnapshot(found.snapshot));
  if (format.check(found.entries) !== undefined) throw new Fault("bad-request", { facts: { why: "body" } });
  return found;
}

const rejected = (work: () => unknown): unknown => {
  try {
    work();
  } catch (reason) {
    assert.ok(reason instanceof Fault, String(reason));
    assert.equal(reason.kind, "bad-request");
    return reason.facts["why"];
  }
  throw new Error("nothing was thrown");
};

describe("a message between peers is decoded as it was encoded", () => {
  test("messages without entries are decoded as they were encoded", () => {
    fc.assert(
      fc.property(small, (sent) => {
        assert.deepEqual(decodeMessage(transfer(encodeMessage(sent))), sent);
      }),
      { numRuns: 500, seed: 2 },
    );
  });

  test("the entries of an append are decoded from their frames", () => {
    for (const [count, payload] of [
      [0, 0],
      [1, 10],
      [7, 20],
      [40, 120],
    ] as const) {
      const sent = message("append", 4, {
        from: 3,
        term: 9,
        index: 11,
        logTerm: 8,
        commit: 10,
        entries: entries(12, count, 9, payload),
      });
      assert.deepEqual(plain(decodeMessage(transfer(encodeMessage(sent)))), plain(sent));
    }
  });

  test("entries that are adjacent in memory are sent as one piece", () => {
    const apart = entries(1, 20, 1, 100);
    const memory = Buffer.concat(apart.map(({ bytes }) => bytes));
    let at = 0;
    const together = apart.map((entry) => {
      const bytes = new Uint8Array(memory.buffer, memory.byteOffset + at, entry.bytes.length);
      at += bytes.length;
      return { ...entry, bytes };
    });
    const { chunks } = encodeMessage(message("append", 1, { term: 1, entries: together }));
    assert.equal(chunks.length, 2);
    assert.equal(chunks[1]!.buffer, memory.buffer);
  });

  test("a snapshot is decoded with its configuration and data", () => {
    const configuration = {
      ...emptyConfState,
      voters: [1, 2 ** 48],
      roster: { members: [{ peer: 1, name: "a", directory: "d", address: "h:1" }], nextPeer: 9 },
    };
    const snapshot = { index: 5, term: 2, configuration, data: Uint8Array.from(pack(start)) };
    const sent = message("snapshot", 2, { from: 1, term: 3, snapshot });
    const found = decodeMessage(transfer(encodeMessage(sent)));
    const bare = ({ snapshot: one }: Message): unknown => ({ ...one, data: [...(one?.data ?? [])] });
    assert.deepEqual({ ...found, snapshot: bare(found) }, { ...sent, snapshot: bare(sent) });
  });
});

describe("entries between peers that are damaged or do not follow one another are rejected", () => {
  test("a term beyond the limit of the log is rejected", () => {
    const sent = message("heartbeat", 4, { from: 3, term: 2 ** 32 });
    assert.equal(
      rejected(() => receive(transfer(encodeMessage(sent)))),
      "head",
    );
  });

  test("every flipped bit in an append is detected", () => {
    const sent = message("append", 4, {
      from: 3,
      term: 9,
      index: 11,
      logTerm: 9,
      entries: entries(12, 3, 9),
    });
    const frame = transfer(encodeMessage(sent));
    for (let bit = 0; bit < frame.body.length * 8; bit++) {
      const body = Uint8Array.from(frame.body);
      body[bit >> 3] = body[bit >> 3]! ^ (1 << (bit & 7));
      assert.equal(
        rejected(() => receive({ ...frame, body })),
        "body",
      );
    }
  });

  test("an append that is cut within an entry is rejected", () => {
    const sent = message("append", 4, { term: 9, index: 11, logTerm: 9, entries: entries(12, 3, 9) });
    const frame = transfer(encodeMessage(sent));
    const ends = new Set([0]);
    let at = 0;
    for (const { bytes } of sent.entries) {
      at += bytes.length;
      ends.add(at);
    }
    for (let end = 0; end < frame.body.length; end++) {
      const cut = { ...frame, body: frame.body.subarray(0, end) };
      if (ends.has(end)) assert.equal(decodeMessage(cut).entries.length < 3, true);
      else
        assert.equal(
          rejected(() => receive(cut)),
          "body",
        );
    }
  });

  test("entries that are not consecutive or have impossible terms are rejected", () => {
    const good = entries(12, 3, 9);
    const wrong: [string, Partial<Message>][] = [
      ["not the next index", { index: 10, term: 9, entries: good }],
      ["one missing", { index: 11, term: 9, entries: [good[0]!, good[2]!] }],
      ["of a later term than the leader's", { index: 11, term: 8, entries: good }],
      ["of an earlier term than the previous entry", { index: 11, term: 10, logTerm: 10, entries: good }],
      ["with a gap in the offsets", { index: 11, term: 9, entries: withGap() }],
      ["not of one chain", { index: 11, term: 9, entries: [good[0]!, entries(12, 2, 9, 21)[1]!] }],
    ];
    for (const [what, fields] of wrong) {
      assert.equal(
        rejected(() => receive(transfer(encodeMessage(message("append", 1, fields))))),
        "body",
        what,
      );
    }
  });
});

describe("a frame between peers with invalid content is rejected", () => {
  test("a snapshot is rejected if its data is not the start of a log", () => {
    const snapshot = { index: 5, term: 2, configuration: emptyConfState };
    const { end, checkpoint } = start;
    const wrong: [string, unknown][] = [
      ["nothing", undefined],
      ["a number", 5],
      ["no end", { checkpoint }],
      ["no checkpoint", { end }],
      ["another index", { end: { ...end, index: 6 }, checkpoint }],
      ["another term", { end: { ...end, term: 3 }, checkpoint }],
      ["an offset beyond 2^53", { end: { ...end, nextOffset: 2 ** 60 }, checkpoint }],
      ["text for a checksum", { end: { ...end, crc: "1" }, checkpoint }],
      ["no settings", { end, checkpoint: { ...checkpoint, settings: {} } }],
      [
        "settings out of range",
        { end, checkpoint: { ...checkpoint, settings: { ...defaultSettings, segmentStoreBytesMax: 0 } } },
      ],
      ["a checkpoint from the future", { end, checkpoint: { ...checkpoint, index: 6 } }],
      ["producers without batches", { end, checkpoint: { ...checkpoint, producers: [["s", 1n, 0, []]] } }],
      ["a lowest offset behind the end", { end, checkpoint: { ...checkpoint, lowest: 4 } }],
      [
        "a negative producer id",
        { end, checkpoint: { ...checkpoint, producers: [["s", -(2n ** 62n), 0, [[4, 0, 1, 2, 1000]]]] } },
      ],
      ["a malformed producer", { end, checkpoint: { ...checkpoint, producers: [null] } }],
      [
        "a configuration without a command",
        { end, checkpoint: { ...checkpoint, configuration: { index: 1 } } },
      ],
    ];
    for (const [what, data] of wrong) {
      const sent = message("snapshot", 2, { from: 1, term: 3, snapshot: { ...snapshot, data: pack(data) } });
      assert.equal(
        rejected(() => receive(transfer(encodeMessage(sent)))),
        "body",
        what,
      );
    }
  });

  test("a snapshot is rejected if its index leaves no room for a log, or its term is above that of the message", () => {
    for (const [what, index, term] of [
      ["the last index that is a safe integer", Number.MAX_SAFE_INTEGER, 2],
      ["an index above the limit of a message", 2 ** 48 + 1, 2],
      ["a later term", 5, 4],
    ] as const) {
      const { checkpoint } = start;
      const data = pack({ end: { ...start.end, index, term }, checkpoint });
      const snapshot = { index, term, configuration: emptyConfState, data };
      const sent = message("snapshot", 2, { from: 1, term: 3, snapshot });
      assert.equal(
        rejected(() => receive(transfer(encodeMessage(sent)))),
        "head",
        what,
      );
    }
  });

  test("a frame with a valid checksum and invalid content is rejected", () => {
    const header = {
      index: 12,
      term: 9,
      baseOffset: 0,
      timestampMs: 1000,
      recordCount: 1,
      kind: batchKind.data,
    };
    const command = { ...header, recordCount: 0 };
    const wrong: [string, Uint8Array][] = [
      ["a record beyond the end", encodeLogFrame(header, Uint8Array.of(0x0a, 0x7f, 0x0a, 0), 7)],
      ["an incomplete length", encodeLogFrame(header, Uint8Array.of(0x0a, 0xff), 7)],
      ["no record", encodeLogFrame(header, none, 7)],
      ["two records instead of one", encodeLogFrame(header, Uint8Array.of(0x0a, 0, 0x0a, 0), 7)],
      [
        "settings that are not JSON",
        encodeLogFrame({ ...command, kind: batchKind.settings }, Buffer.from("{"), 7),
      ],
      [
        "settings out of range",
        encodeLogFrame(
          { ...command, kind: batchKind.settings },
          Buffer.from('{"segmentStoreBytesMax":-1}'),
          7,
        ),
      ],
      ["a malformed trim", encodeLogFrame({ ...command, kind: batchKind.trim }, Uint8Array.of(9, 9), 7)],
      [
        "an empty change",
        encodeLogFrame(
          { ...command, kind: batchKind.configuration },
          pack({ transition: "auto", changes: [null] }),
          7,
        ),
      ],
      [
        "a member without a name",
        encodeLogFrame(
          { ...command, kind: batchKind.configuration },
          pack({ transition: "auto", changes: [], members: [{ peer: 1 }] }),
          7,
        ),
      ],
    ];
    for (const [what, bytes] of wrong) {
      const sent = message("append", 4, {
        from: 3,
        term: 9,
        index: 11,
        logTerm: 9,
        entries: [{ index: 12, term: 9, bytes, change: undefined }],
      });
      assert.equal(
        rejected(() => receive(transfer(encodeMessage(sent)))),
        "body",
        what,
      );
    }
  });

  test("invalid heads are rejected", () => {
    const fields = [3, 1, 2, 1, 1, 1, 1, 1, false, 0, 0];
    const heads: unknown[] = [
      [],
      {},
      "text",
      [99, ...fields.slice(1)],
      [0, ...fields.slice(1)],
      [...fields.slice(0, 10)],
      [...fields, 1],
      [3, -1, ...fields.slice(2)],
      [3, 1.5, ...fields.slice(2)],
      [3, "1", ...fields.slice(2)],
      [3, Number.NaN, ...fields.slice(2)],
      [3, 1, 2, 0xffff_fff0, ...fields.slice(4)],
      [3, 1, 2, 1, 2 ** 52, ...fields.slice(5)],
      [...fields.slice(0, 8), 1, 0, 0],
    ];
    for (const head of heads) {
      const frame: PeerFrame = { kind: "message", head: pack(head), body: none };
      assert.equal(
        rejected(() => receive(frame)),
        "head",
        JSON.stringify(head),
      );
    }
    for (const about of [undefined, [], [1, 1], [1, 1, {}], [1, 1, { ...emptyConfState, voters: ["a"] }]]) {
      const frame: PeerFrame = { kind: "snapshot", head: pack([6, ...fields.slice(1), about]), body: none };
      assert.equal(
        rejected(() => receive(frame)),
        "head",
      );
    }
  });

  test("random heads are rejected or decoded as messages of whole numbers", () => {
    const random = prng("message noise");
    const model = encodePeerFrame("message", pack([3, 1, 2, 1, 1, 1, 1, 1, false, 0, 0]));
    const valid = transfer(model);
    let accepted = 0;
    for (let round = 0; round < 20_000; round++) {
      const head = Uint8Array.from(valid.head);
      for (let flips = random.between(1, 4); flips > 0; flips--) {
        head[random.between(0, head.length - 1)] = random.between(0, 255);
      }
      try {
        const { term, index } = decodeMessage({ ...valid, head });
        assert.ok(Number.isSafeInteger(term) && Number.isSafeInteger(index));
        accepted++;
      } catch (reason) {
        assert.ok(reason instanceof Fault, String(reason));
      }
    }
    assert.ok(accepted > 0 && accepted < 20_000);
  });
});
