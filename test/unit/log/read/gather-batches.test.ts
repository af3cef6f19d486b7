import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import type { LogBatches } from "../../../../src/log/index/log-index.ts";
import { gatherBatches } from "../../../../src/log/read/gather-batches.ts";
import type { Segment } from "../../../../src/log/segment/segment.ts";
import { run, simMachine, valuesOf } from "../../../support/log/logs.ts";

/** Where a frame stands in the store. */
interface Place {
  readonly position: number;
  readonly bytes: number;
}

interface Filled {
  readonly segment: Segment;
  readonly id: number;
  readonly batches: LogBatches;
  readonly places: readonly Place[];
  /** What was asked of the store, in order. */
  readonly asked: ({ readonly kind: "read" | "hint" } & Place)[];
  /** Bytes that are flipped when they are read. */
  readonly damage: Set<number>;
  readonly commitIndex: number;
}

const isCorrupt = (fault: unknown): boolean => fault instanceof Fault && fault.kind === "corrupt";
const all = { bytesMax: 1 << 20, runsMax: 1_000 };
const values = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, n) => `a ${from + n}`);

/** A segment with `count` batches of the log "a" and `gapBytes` of the log "b" between each two of them. */
async function fill(count: number, gapBytes: number): Promise<Filled> {
  const log = await simMachine(1).open({}, { frameCacheBytesMax: 0 });
  const { log: info } = await log.change({ kind: "create", name: "a", settings: {} });
  await log.change({ kind: "create", name: "b", settings: {} });
  for (let n = 0; n < count; n++) {
    await log.append(run(`a ${n}`), { log: { name: "a" } });
    if (gapBytes > 0) await log.append(run("b".repeat(gapBytes)), { log: { name: "b" } });
  }
  const { segments, commitIndex } = log.storedLog;
  const segment = segments[0]!;
  assert.equal(segments.length, 1);
  const batches = segment.batchesOf(info!.id)!;
  const places = Array.from({ length: count }, (_, i) =>
    segment.lookup((index) => {
      const ordinal = batches.ordinal(i);
      const [position, end] = [
        index.position(ordinal),
        ordinal + 1 < index.length ? index.position(ordinal + 1) : segment.bytes,
      ];
      return { position, bytes: end - position };
    }),
  );
  const asked: Filled["asked"] = [];
  const damage = new Set<number>();
  const read = segment.read.bind(segment);
  Object.defineProperty(segment, "read", {
    value: (target: Uint8Array, position: number) => {
      asked.push({ kind: "read", position, bytes: target.length });
      const filled = read(target, position);
      for (const at of damage) if (at >= position && at < position + filled) target[at - position]! ^= 1;
      return filled;
    },
  });
  Object.defineProperty(segment, "willRead", {
    value: (position: number, bytes: number) => asked.push({ kind: "hint", position, bytes }),
  });
  return { segment, id: info!.id, batches, places, asked, damage, commitIndex };
}

function gather(
  { segment, id, batches, commitIndex }: Filled,
  {
    first = 0,
    hinted = 0,
    ...limits
  }: Partial<typeof all> & {
    first?: number;
    hinted?: number;
    commitIndex?: number;
    atEnd?: () => void;
    isLate?: () => boolean;
  } = {},
  buffer?: Uint8Array,
) {
  return gatherBatches(segment, id, { batches, first, hinted }, { ...all, commitIndex, ...limits }, buffer);
}

const readsOf = ({ asked }: Filled): Place[] =>
  asked.filter(({ kind }) => kind === "read").map(({ position, bytes }) => ({ position, bytes }));

test("batches with much between them are read one by one, and others are not read", async () => {
  const filled = await fill(10, 20_000);
  const { slice, next } = gather(filled);
  assert.deepEqual(valuesOf(slice), values(10));
  assert.deepEqual([slice.firstOffset, slice.nextOffset, next], [0, 10, 10]);
  assert.deepEqual(readsOf(filled), filled.places);
});

test("batches with little between them are read at once, and only they are returned", async () => {
  for (const gapBytes of [0, 10, 500]) {
    const filled = await fill(40, gapBytes);
    const { slice } = gather(filled, { first: 3 });
    assert.deepEqual(valuesOf(slice), values(37, 3));
    assert.equal(
      slice.frames.length,
      filled.places.slice(3).reduce((sum, { bytes }) => sum + bytes, 0),
    );
    assert.equal(readsOf(filled).length, 1);
  }
});

test("a run with gaps is limited, one without is not", async () => {
  const gaps = await fill(40, 5_000);
  assert.deepEqual(valuesOf(gather(gaps).slice), values(40));
  assert.ok(readsOf(gaps).every(({ bytes }) => bytes <= 64 * 1024));
  assert.ok(readsOf(gaps).length < 6);
});

test("a slice has at most so many bytes and reads, and at least one batch", async () => {
  const filled = await fill(10, 20_000);
  const { bytes } = filled.places[0]!;
  for (const [bytesMax, count] of [
    [0, 1],
    [bytes - 1, 1],
    [3 * bytes, 3],
    [4 * bytes - 1, 3],
  ] as const)
    assert.deepEqual(valuesOf(gather(filled, { bytesMax }).slice), values(count));
  assert.equal(gather(filled, { runsMax: 4 }).next, 4);
  assert.deepEqual(valuesOf(gather(filled, { first: 8, runsMax: 4 }).slice), values(2, 8));
});

test("time of a slice: it ends after the read with which its time is over, and the next one goes on there", async () => {
  const filled = await fill(10, 20_000);
  for (const [first, reads] of [
    [0, 3],
    [3, 1],
    [4, 6],
  ] as const) {
    const before = readsOf(filled).length;
    const isLate = (): boolean => readsOf(filled).length - before >= reads;
    const { slice, next } = gather(filled, { first, isLate });
    assert.deepEqual(valuesOf(slice), values(reads, first));
    assert.equal(next, first + reads);
    assert.equal(readsOf(filled).length - before, reads);
  }
  assert.equal(gather(filled, { isLate: () => true }).next, 1, "one read at least");
});

test("batches that are not committed are not returned", async () => {
  const filled = await fill(6, 100);
  const commitIndex = filled.segment.first + filled.batches.ordinal(3);
  assert.deepEqual(valuesOf(gather(filled, { commitIndex }).slice), values(4));
});

test("the disk is given each hint once, before it reads, and not far ahead", async () => {
  const filled = await fill(300, 17_000);
  let hinted = 0;
  for (let first = 0; first < 300; ) {
    const read = gather(filled, { first, hinted, runsMax: first === 0 ? 8 : 64 });
    const known = filled.asked.filter(({ kind }) => kind === "hint").length;
    assert.ok(read.hinted >= read.next && read.hinted <= read.next + 129, `${read.hinted} at ${read.next}`);
    assert.equal(known, read.hinted - 1);
    [first, hinted] = [read.next, read.hinted];
  }
  const hints = filled.asked.filter(({ kind }) => kind === "hint").map(({ position }) => position);
  assert.deepEqual(
    hints,
    filled.places.slice(1).map(({ position }) => position),
  );
  for (const [at, { kind, position }] of filled.asked.entries())
    if (kind === "hint") assert.ok(!filled.asked.slice(0, at).some((one) => one.position === position));
});

test("that the hints reach the end of the segment is said once before each read from there on", async () => {
  const filled = await fill(100, 17_000);
  const atEnd: (readonly [asked: number, hinted: boolean])[] = [];
  const isAllHinted = (): boolean => filled.asked.filter(({ kind }) => kind === "hint").length === 99;
  const limits = { atEnd: () => void atEnd.push([readsOf(filled).length, isAllHinted()]) };
  const first = gather(filled, { ...limits, runsMax: 8 });
  assert.deepEqual(atEnd, []);
  gather(filled, { ...limits, first: first.next, hinted: first.hinted, runsMax: 64 });
  assert.deepEqual(atEnd, [[8, true]]);
});

test("one batch alone needs no hint", async () => {
  const filled = await fill(3, 20_000);
  gather(filled, { bytesMax: 0 });
  assert.deepEqual(filled.asked, [{ kind: "read", ...filled.places[0]! }]);
});

test("damage ends a slice before it, and is refused when a read begins there; that of other logs does not matter", async () => {
  for (const gapBytes of [0, 300, 20_000]) {
    for (const byte of [0, 3, 8, 30, 60, 66]) {
      const filled = await fill(9, gapBytes);
      const { position, bytes } = filled.places[4]!;
      if (gapBytes > 0) filled.damage.add(position + bytes + 20);
      assert.deepEqual(valuesOf(gather(filled).slice), values(9));
      filled.damage.add(position + byte);
      const { slice, next } = gather(filled);
      assert.deepEqual(valuesOf(slice), values(4));
      assert.equal(next, 4);
      assert.throws(() => gather(filled, { first: 4 }), isCorrupt);
      assert.deepEqual(valuesOf(gather(filled, { first: 5 }).slice), values(4, 5));
    }
  }
});

test("a wrong place is never shown: of another log, another offset, twice, or with one left out", async () => {
  for (const gapBytes of [300, 20_000]) {
    const filled = await fill(8, gapBytes);
    const { batches } = filled;
    const wrong = (ordinal: (i: number) => number, offset = (i: number): number => batches.offset(i)) => {
      const led = { ...filled, batches: { length: 7, previous: 0, ordinal, offset } };
      assert.deepEqual(valuesOf(gather(led).slice), values(3));
      assert.throws(() => gather(led, { first: 3 }), isCorrupt);
    };
    const at = (i: number): number => batches.ordinal(i);
    wrong((i) => (i < 3 ? at(i) : at(i) + 1));
    wrong((i) => (i < 3 ? at(i) : at(i + 1)));
    wrong((i) => (i < 3 ? at(i) : at(2)));
    // A log index that knows the places leads to another batch of the log.
    const places = filled.places.map((place, i) => (i === 3 ? filled.places[4]! : place));
    const known = { length: 8, previous: 0, ordinal: at, offset: (i: number) => batches.offset(i) };
    const placed = { ...filled, batches: { ...known, extent: (i: number) => places[i] } };
    assert.deepEqual(valuesOf(gather(placed).slice), values(3));
    assert.throws(() => gather(placed, { first: 3 }), isCorrupt);
    const isSkipped = { length: 7, previous: 0 };
    const skipping = (i: number): number => (i < 3 ? i : i + 1);
    const led = {
      ...filled,
      batches: {
        ...isSkipped,
        ordinal: (i: number) => at(skipping(i)),
        offset: (i: number) => batches.offset(skipping(i)),
      },
    };
    assert.deepEqual(valuesOf(gather(led).slice), values(3));
  }
});

test("batches are read into the buffer of the caller if they fit", async () => {
  for (const gapBytes of [0, 300, 20_000]) {
    const filled = await fill(5, gapBytes);
    const buffer = new Uint8Array(4_096).fill(7);
    const { slice } = gather(filled, {}, buffer);
    assert.equal(slice.frames.buffer, buffer.buffer);
    assert.deepEqual(valuesOf(slice), values(5));
    assert.notEqual(gather(filled, {}, new Uint8Array(90)).slice.frames.length, 90);
    assert.deepEqual(valuesOf(gather(filled, {}, new Uint8Array(90)).slice), values(5));
  }
});
