/** What the disk is told ahead when a log is read whose batches lie between those of others, in several segments. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SealedSegment } from "../../../../src/log/segment/sealed-segment.ts";
import { run, simMachine, valuesOf } from "../../../support/log/logs.ts";

interface Asked {
  readonly kind: "hint" | "read" | "log index";
  readonly segment: number;
  readonly position: number;
}

/** Notes what is asked of a segment. */
function watch(segment: SealedSegment, asked: Asked[]): void {
  const { first } = segment;
  const read = segment.read.bind(segment);
  const define = (name: string, value: unknown): unknown => Object.defineProperty(segment, name, { value });
  define("read", (target: Uint8Array, position: number) => {
    asked.push({ kind: "read", segment: first, position });
    return read(target, position);
  });
  define("willRead", (position: number) => asked.push({ kind: "hint", segment: first, position }));
  define("willReadLogs", () => asked.push({ kind: "log index", segment: first, position: 0 }));
}

/** 60 records of the log "a" in segments of about 4 each, with 20 kB of the log "b" between two of them. */
async function readAll(
  seed: string,
): Promise<{ readonly segments: readonly number[]; readonly asked: Asked[] }> {
  const settings = { segmentStoreBytesMax: 100_000 };
  const log = await simMachine(seed).open(settings, { frameCacheBytesMax: 0 });
  for (const name of ["a", "b"]) await log.change({ kind: "create", name, settings: {} });
  for (let n = 0; n < 60; n++) {
    await log.append(run(`a ${n}`), { log: { name: "a" } });
    await log.append(run("b".repeat(20_000)), { log: { name: "b" } });
  }
  const { sealed } = log.storedLog;
  const asked: Asked[] = [];
  for (const segment of sealed) watch(segment, asked);
  using tail = log.replica.log.named.open({ name: "a" }).follow(0);
  const values: string[] = [];
  while (tail.position < 60) values.push(...valuesOf(tail.take(1 << 20)!));
  assert.equal(values.length, 60);
  return { segments: sealed.map(({ first }) => first), asked };
}

test("a reader that goes on has told the disk of each batch before it reads it, in the next segments, too", async () => {
  const { segments, asked } = await readAll("ahead");
  assert.ok(segments.length >= 10, `${segments.length} segments`);
  const reads = asked.filter(({ kind }) => kind === "read");
  assert.ok(reads.length > 50, `${reads.length} reads`);
  const hinted = new Set<string>();
  for (const { kind, segment, position } of asked) {
    const place = `${segment} ${position}`;
    if (kind === "hint") {
      assert.ok(!hinted.has(place), `${place} once`);
      hinted.add(place);
    }
    // The first one is read at once.
    if (kind === "read" && segment !== segments[0]) assert.ok(hinted.has(place), `${place} was not known`);
  }
  for (const [at, segment] of segments.slice(1).entries()) {
    const first = asked.findIndex((one) => one.kind === "hint" && one.segment === segment);
    const before = asked.findLastIndex((one) => one.kind === "read" && one.segment === segments[at]);
    assert.ok(first < before, `segment ${segment} before the end of the one before it is read`);
  }
});

test("a walk back tells the disk of the log indexes of segments before two neighbours with the log, of each once", async () => {
  const { segments, asked } = await readAll("walk ahead");
  const told = asked.filter(({ kind }) => kind === "log index").map(({ segment }) => segment);
  assert.deepEqual(
    told.toSorted((one, other) => one - other),
    segments.slice(0, told.length),
  );
  assert.ok(told.length >= segments.length - 2, `${told.length} of ${segments.length}`);
});

test("a hint about a damaged segment is no error of the read before it", async () => {
  const machine = simMachine("damaged ahead");
  const log = await machine.open({ segmentStoreBytesMax: 100_000 }, { frameCacheBytesMax: 0 });
  for (const name of ["a", "b"]) await log.change({ kind: "create", name, settings: {} });
  for (let n = 0; n < 20; n++) {
    await log.append(run(`a ${n}`), { log: { name: "a" } });
    await log.append(run("b".repeat(20_000)), { log: { name: "b" } });
  }
  const { sealed, state } = log.storedLog;
  const [first, second] = sealed as [SealedSegment, SealedSegment];
  const inFirst = first.batchesOf(state.logs.named("a")!.id)!.length;
  machine.disk.remove(second.path);
  using tail = log.replica.log.named.open({ name: "a" }).follow(0);
  const values: string[] = [];
  while (tail.position < inFirst) values.push(...valuesOf(tail.take(1)!));
  assert.deepEqual(
    values,
    Array.from({ length: inFirst }, (_, n) => `a ${n}`),
  );
  assert.ok(inFirst > 1);
  assert.throws(() => tail.take(1), { kind: "corrupt", message: /missing/ });
});
