/**
 * Logs for tests on the simulated disk with a manual clock, and short forms for records and values.
 */
import { heapMapper } from "../../../src/lib/disk/mapped-file.ts";
import { type Prng, prng } from "../../../src/lib/prng.ts";
import type { Clock } from "../../../src/lib/time/clock.ts";
import {
  decodeRecord,
  encodeRun,
  type LogSettings,
  RecordCursor,
  SegmentedLog,
  type SegmentedLogOptions,
  SyncPolicy,
} from "../../../src/log/mod.ts";
import type { BatchSlice, CommitLog, Offset, RecordRun } from "../../../src/types.ts";
import { SimDisk, type SimDiskOptions } from "../disk/sim-disk.ts";
import { SimStableStore } from "../disk/sim-stable-store.ts";
import { MemoryRowStore } from "../rows/memory-row-store.ts";
import { type NodePlace, OneNodeLog, type OneNodeOptions } from "./one-node-log.ts";

/** A clock that only advance() moves. It runs the timers that are due. */
export class StillClock implements Clock {
  nowMs = 1_000_000;
  /** How far the wall clock is set ahead. */
  setByMs = 0;
  #timers: { readonly atMs: number; readonly callback: () => void }[] = [];
  wallMs = (): number => this.nowMs + this.setByMs;
  monotonicMs = (): number => this.nowMs;
  soon = (callback: () => void): void => queueMicrotask(callback);
  after(delayMs: number, callback: () => void): { cancel(): void } {
    const timer = { atMs: this.nowMs + delayMs, callback };
    this.#timers.push(timer);
    return { cancel: () => this.#timers.splice(this.#timers.indexOf(timer) >>> 0, 1) };
  }
  advance(ms: number): void {
    this.nowMs += ms;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.nowMs);
    for (const { callback } of due) callback();
  }
  get timers(): number {
    return this.#timers.length;
  }
}

/** A machine: a disk, a stable store and a clock, on which processes run one after another. */
export interface SimMachine {
  readonly disk: SimDisk;
  readonly store: SimStableStore;
  readonly rowStore: MemoryRowStore;
  readonly clock: StillClock;
  readonly chance: Prng;
  /** Starts the log of one node as a new process. The process before is killed. */
  open(settings?: Partial<LogSettings>, options?: OneNodeOptions): Promise<OneNodeLog>;
  /** Opens the segmented log without a node. */
  openStored(options?: Partial<SegmentedLogOptions>): SegmentedLog;
}

export const simDirectory = "/data";

export function simMachine(seed: number | string, diskOptions: SimDiskOptions = {}): SimMachine {
  const chance = prng(seed);
  const disk = new SimDisk(chance.stream("disk"), diskOptions);
  const store = new SimStableStore(disk);
  const rowStore = new MemoryRowStore(disk);
  const clock = new StillClock();
  const place: NodePlace = {
    directory: simDirectory,
    disk,
    store,
    mapper: heapMapper(disk),
    newDirectoryId: new Uint8Array(16).fill(7),
    clock,
    rowStore,
    zerosMax: 0,
    rowCheckpoints: { fewRows: 0, rowsMax: 3, bytesMax: 2000 },
  };
  let running: OneNodeLog | undefined;
  return {
    disk,
    store,
    rowStore,
    clock,
    chance,
    async open(settings = {}, options = {}) {
      running?.kill();
      running = await OneNodeLog.open(place, settings, {
        syncPolicy: new SyncPolicy(true),
        raft: { tickMs: 5, electionTicks: 20, heartbeatTicks: 4 },
        ...options,
      });
      return running;
    },
    openStored: (options = {}) => SegmentedLog.open({ ...place, ...options }),
  };
}

/** Removes the segments that are not needed, and their files if the log has a StillClock. Returns how many were removed. */
export async function compact(log: SegmentedLog): Promise<number> {
  const before = log.sealed.length;
  try {
    for (let left = before + 1; log.sealed.length < left; ) {
      left = log.sealed.length;
      log.compact();
      await log.rows.settled();
    }
  } finally {
    await stillTurns();
  }
  return before - log.sealed.length;
}

/** Resolves once all turns of a StillClock have passed: what a log does in turns is done. */
export const stillTurns = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A run of records with these values. */
export const run = (...values: readonly string[]): RecordRun =>
  encodeRun(values.map((value) => ({ value: Buffer.from(value) })));

/** The values in a slice from offset `from` on. */
export function valuesOf(slice: BatchSlice, from: Offset = 0): string[] {
  const values: string[] = [];
  const cursor = new RecordCursor(slice.frames, from);
  while (cursor.next()) {
    const { value } = decodeRecord(cursor.frames, cursor.start, cursor.end);
    values.push(Buffer.from(value).toString());
  }
  return values;
}

/** The value at an offset, by read(). */
export async function valueAt(log: CommitLog, offset: Offset): Promise<string> {
  const values = valuesOf(await log.read(offset), offset);
  return values[0]!;
}

/** All values from `from` on, by a tail. Default: from the lowest offset. */
export async function allValues(log: CommitLog, from?: Offset): Promise<string[]> {
  const { lowest, next } = await log.bounds();
  using tail = log.follow(from ?? lowest);
  const values: string[] = [];
  while (tail.position < next) {
    const position = tail.position;
    const slice = tail.take();
    if (slice !== undefined) values.push(...valuesOf(slice, position));
    else if (!(await tail.ready())) break;
  }
  return values;
}

/** Why a log cannot be followed from `offset`. A local log throws at once, a remote log in the first take(). */
export async function whyNotFollow(log: CommitLog, offset: Offset): Promise<unknown> {
  try {
    using tail = log.follow(offset);
    await tail.ready();
    tail.take();
    return undefined;
  } catch (reason) {
    return reason;
  }
}
