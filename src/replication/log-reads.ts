/** The reads of one log, `default` or a named one, each as fresh as it was asked for. */
import { Fault } from "../fault.ts";
import {
  LogTail,
  outOfRange,
  type Preparation,
  type RecordReader,
  type SegmentedLog,
  type TailedLog,
} from "../log/mod.ts";
import type { BatchSlice, Bounds, Freshness, Offset, ReadStart, Tail } from "../types.ts";
import type { FreshnessGate } from "./freshness-gate.ts";

export class LogReads {
  readonly #log: TailedLog;
  readonly #reader: RecordReader;
  readonly #gate: FreshnessGate;

  constructor(log: TailedLog, reader: RecordReader, gate: FreshnessGate) {
    this.#log = log;
    this.#reader = reader;
    this.#gate = gate;
  }

  /** See CommitLog. */
  async read(offset: Offset, freshness: Freshness = {}): Promise<BatchSlice> {
    await this.#prepare(offset, freshness);
    return this.#reader.read(offset);
  }

  /** See CommitLog. */
  async readRecord(offset: Offset, freshness: Freshness = {}): Promise<BatchSlice> {
    await this.#prepare(offset, freshness);
    return this.#reader.readRecord(offset);
  }

  /** See CommitLog. */
  recordBytes(offset: Offset): number {
    return this.#reader.recordBytes(offset);
  }

  async #prepare(offset: Offset, freshness: Freshness): Promise<void> {
    this.#gate.check();
    if (offset >= this.#log.bounds.next) await this.#gate.beforeMiss(freshness);
    const preparation = this.#reader.prepare?.(offset);
    if (preparation !== undefined) await finished(preparation, freshness.signal);
  }

  async bounds(freshness: Freshness = {}): Promise<Bounds> {
    await this.#gate.beforeBounds(freshness);
    return this.#log.bounds;
  }

  async seek(start: ReadStart, freshness: Freshness = {}): Promise<Offset> {
    await this.#gate.beforeBounds(freshness);
    if ("offset" in start) {
      if (start.offset < this.#log.bounds.lowest) throw outOfRange(start.offset, this.#log.bounds);
      if (start.offset > this.#log.bounds.next) await this.#gate.beforeMiss(freshness);
      return start.offset;
    }
    const { lowest, next } = this.#log.bounds;
    if ("fromTimeMs" in start) {
      const preparation = this.#reader.prepareTime?.(start.fromTimeMs);
      if (preparation !== undefined) await finished(preparation, freshness.signal);
      return this.#reader.seekTime(start.fromTimeMs);
    }
    if ("last" in start) return Math.max(lowest, next - start.last);
    return next;
  }

  follow(offset: Offset): Tail {
    return new LogTail(this.#log, offset);
  }
}

/** Resolves when the place of a read is found. An abort frees the search. @throws Fault "canceled" after an abort */
async function finished({ over, stop }: Preparation, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted === true) stop();
  signal?.addEventListener("abort", stop, { once: true });
  await over;
  signal?.removeEventListener("abort", stop);
  if (signal?.aborted === true) throw new Fault("canceled");
}

/** The log `default` as its tails see it. */
export function tailedLog(log: SegmentedLog, cutOff: () => Fault | undefined): TailedLog {
  return {
    reader: log.reader,
    changed: log.changed,
    get bounds() {
      return log.bounds;
    },
    get closed() {
      return log.closed;
    },
    get cutOff() {
      return cutOff();
    },
  };
}
