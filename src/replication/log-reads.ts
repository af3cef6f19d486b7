/** The reads of one log, `default` or a named one, each as fresh as it was asked for. */
import type { Fault } from "../fault.ts";
import { LogTail, outOfRange, type RecordReader, type SegmentedLog, type TailedLog } from "../log/mod.ts";
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
    if (offset >= this.#log.bounds.next) await this.#gate.beforeMiss(freshness);
    const prepared = this.#reader.prepare?.(offset);
    if (prepared !== undefined) await prepared;
    return this.#reader.read(offset);
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
      await this.#reader.prepareTime?.(start.fromTimeMs);
      return this.#reader.seekTime(start.fromTimeMs);
    }
    if ("last" in start) return Math.max(lowest, next - start.last);
    return next;
  }

  follow(offset: Offset): Tail {
    return new LogTail(this.#log, offset);
  }
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
