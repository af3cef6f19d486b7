import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkNext } from "../../../../src/log/frame/chain.ts";
import {
  batchKind,
  type ChainEnd,
  emptyCheckpoint,
  encodeDraft,
  encodeFrame,
  endAfter,
  frameCommand,
  frameTimestampMs,
  isDraft,
  LogState,
} from "../../../../src/log/mod.ts";
import type { Entry } from "../../../../src/raft/mod.ts";
import { entryOf } from "../../../../src/replication/storage/entries.ts";
import { FrameFormat } from "../../../../src/replication/storage/frame-format.ts";

const record = Uint8Array.of(0x0a, 0);
const data = { recordCount: 1, kind: batchKind.data };
const stored: ChainEnd = { index: 4, term: 2, nextOffset: 9, timestampMs: 1000, crc: 77 };
const none = (): undefined => undefined;
const state = LogState.from({ ...emptyCheckpoint, index: 4 });
const at = (index: number, term: number, bytes: Uint8Array): Entry => ({
  index,
  term,
  bytes,
  change: undefined,
});

function formatAt(nowMs: number): { format: FrameFormat; readings: () => number; asked: number[] } {
  const asked: number[] = [];
  let readings = 0;
  const endAt = (index: number): ChainEnd => {
    asked.push(index);
    return stored;
  };
  const stampMs = (): number => {
    readings++;
    return nowMs;
  };
  return {
    format: new FrameFormat({ endAt, end: stored, term: () => 2, state }, { stampMs }),
    readings: () => readings,
    asked,
  };
}

/** Whole frames after `stored`. */
function chain(count: number): Entry[] {
  const { format } = formatAt(2000);
  const entries = Array.from({ length: count }, (_, k) => at(5 + k, 3, encodeDraft(data, record)));
  format.seal(entries, none);
  return entries;
}

describe("drafts", () => {
  test("are whole frames that follow the previous entry once they are sealed, in the same memory", () => {
    const { format, asked } = formatAt(2000);
    const change = { transition: "auto" as const, changes: [] };
    const drafts = [encodeDraft(data, record), format.draft(undefined), format.draft(change)];
    assert.deepEqual(
      drafts.map((bytes) => isDraft(bytes, 0)),
      [true, true, true],
    );
    const entries = drafts.map((bytes, k) => at(5 + k, 3, bytes));
    format.seal(entries, none);
    assert.deepEqual(asked, [4]);
    let end = stored;
    for (const bytes of drafts) {
      assert.equal(checkNext(bytes, 0, bytes.length, end), undefined);
      end = endAfter(end, bytes, 0);
    }
    assert.deepEqual([end.index, end.term, end.nextOffset, end.timestampMs], [7, 3, 10, 2000]);
    assert.deepEqual(entryOf(drafts[2]!).change, change);
    assert.equal(frameCommand(drafts[1]!, 0).length, 0);
  });

  test("follow an entry that is not durable yet, without a read of the log", () => {
    const { format, asked } = formatAt(2000);
    const [previous] = chain(1);
    const next = at(6, 3, encodeDraft(data, record));
    format.seal([next], (index) => (index === 5 ? previous : undefined));
    assert.deepEqual(asked, []);
    assert.equal(
      checkNext(next.bytes, 0, next.bytes.length, endAfter(stored, previous!.bytes, 0)),
      undefined,
    );
  });

  test("of one call get the same time, which is not before that of the previous entry", () => {
    for (const [nowMs, expected] of [
      [500, 1000],
      [1500, 1500],
    ] as const) {
      const { format, readings } = formatAt(nowMs);
      const entries = [5, 6, 7].map((index) => at(index, 2, encodeDraft(data, record)));
      format.seal(entries, none);
      assert.deepEqual(
        entries.map(({ bytes }) => frameTimestampMs(bytes, 0)),
        [expected, expected, expected],
      );
      assert.equal(readings(), 1);
    }
  });

  test("are sealed once: frames of a leader and sealed frames stay unchanged", () => {
    const entries = chain(3);
    const before = entries.map(({ bytes }) => Buffer.from(bytes));
    const { format, readings } = formatAt(9000);
    format.seal(entries, none);
    assert.deepEqual(
      entries.map(({ bytes }) => Buffer.from(bytes)),
      before,
    );
    assert.equal(readings(), 0);
  });
});

describe("the check of a peer's entries", () => {
  const { format } = formatAt(0);

  test("accepts valid frames that form a chain", () => {
    assert.equal(format.check([]), undefined);
    assert.equal(format.check(chain(5)), undefined);
  });

  test("finds a flipped bit anywhere in any frame", () => {
    const entries = chain(3);
    for (const { bytes } of entries) {
      for (let bit = 0; bit < 8 * bytes.length; bit++) {
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        assert.notEqual(format.check(entries), undefined, `bit ${bit}`);
        bytes[bit >> 3]! ^= 1 << (bit & 7);
      }
    }
    assert.equal(format.check(entries), undefined);
  });

  test("finds every broken link of the chain and every wrong header", () => {
    const [first, second, third] = chain(3) as [Entry, Entry, Entry];
    const end = endAfter(stored, first.bytes, 0);
    const behind = (changed: Partial<ChainEnd>, payload: Uint8Array = record): Entry => {
      const { index, term, nextOffset, timestampMs, crc } = { ...end, ...changed };
      const header = { index: index + 1, term, baseOffset: nextOffset, timestampMs, ...data };
      return at(index + 1, term, encodeFrame(header, payload, crc));
    };
    assert.equal(format.check([first, behind({})]), undefined);
    const wrong: [string, Entry[]][] = [
      ["chain", [first, third]],
      ["chain", [second, first]],
      ["chain", [first, behind({ crc: end.crc ^ 1 })]],
      ["index", [first, behind({ index: end.index + 1 })]],
      ["term", [first, behind({ term: 2 })]],
      ["offset", [first, behind({ nextOffset: end.nextOffset + 1 })]],
      ["time", [first, behind({ timestampMs: 1999 })]],
      ["records", [first, behind({}, Uint8Array.of(0x0a, 0x7f, 0x0a, 0))]],
      ["records", [behind({}, Uint8Array.of(0x0a, 0, 0x0a, 0))]],
      ["short", [first, at(6, 3, second.bytes.subarray(0, second.bytes.length - 1))]],
      ["length", [at(5, 3, Buffer.concat([first.bytes, second.bytes]))]],
    ];
    for (const [flaw, entries] of wrong) assert.equal(format.check(entries), flaw);
  });

  test("finds a draft", () => {
    assert.equal(format.check([at(5, 3, encodeDraft(data, record))]), "checksum");
  });
});
