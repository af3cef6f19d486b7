/**
 * The queued groups that are proposed together. Those of one log lie together, in their order.
 *
 * The place of a record of `default` is its ordinal in its queued group, so the offset of a group's first record is that of
 * the write group and the records of `default` before it.
 */
import type { Fault } from "../../fault.ts";
import type { LogId } from "../../types.ts";
import type { GroupBufferPool } from "./group-buffer-pool.ts";
import type { QueuedGroup } from "./queued-group.ts";

/** The most traceparents that one write group holds. */
const tracesMax = 128;

export class WriteGroup {
  readonly parts: readonly QueuedGroup[];
  readonly hasRecords: boolean;
  readonly usedBytes: number;
  /** The number of frames. */
  readonly batches: number;
  /** When its first append was queued, in milliseconds of the monotonic clock. */
  readonly queuedMs: number;
  /** The number of the first part of each log. Made when it is asked for. */
  #firstOf: Map<LogId, number> | undefined;
  readonly #pool: GroupBufferPool;

  /** `parts` is not empty. Several are joined in a buffer of the pool. */
  constructor(parts: readonly QueuedGroup[], pool: GroupBufferPool) {
    this.parts = parts;
    this.#pool = pool;
    this.hasRecords = parts.some(({ hasRecords }) => hasRecords);
    let [usedBytes, batches, queuedMs] = [0, 0, Number.POSITIVE_INFINITY];
    for (const { builder, queuedMs: partMs } of parts) {
      usedBytes += builder.usedBytes;
      batches += builder.batches;
      if (partMs < queuedMs) queuedMs = partMs;
    }
    this.usedBytes = usedBytes;
    this.batches = batches;
    this.queuedMs = queuedMs;
  }

  /** The last of the parts. They are committed, or fail, together. */
  get last(): QueuedGroup {
    return this.parts[this.parts.length - 1]!;
  }

  /** The part with the append that was queued first. */
  get oldest(): QueuedGroup {
    return this.parts.find(({ queuedMs }) => queuedMs === this.queuedMs)!;
  }

  /** The parts of this log. */
  of(logId: LogId): readonly QueuedGroup[] {
    this.#firstOf ??= firstParts(this.parts);
    const first = this.#firstOf.get(logId);
    if (first === undefined) return noParts;
    let end = first + 1;
    while (this.parts[end]?.logId === logId) end++;
    return this.parts.slice(first, end);
  }

  /** How many records of this log it has. */
  recordsOf(logId: LogId): number {
    let records = 0;
    for (const { builder } of this.of(logId)) records += builder.records;
    return records;
  }

  /** Bytes of the frames of this log. */
  bytesOf(logId: LogId): number {
    let bytes = 0;
    for (const { builder } of this.of(logId)) bytes += builder.usedBytes;
    return bytes;
  }

  /** Traceparents of its appends, for the span of the flush. */
  traces(): readonly string[] {
    const [only] = this.parts;
    if (this.parts.length === 1) return only!.builder.traces;
    return this.parts.flatMap(({ builder }) => builder.traces).slice(0, tracesMax);
  }

  /**
   * Returns the frames as drafts, one after another in one buffer: what follows in memory is written at once. Nothing may be
   * added to the parts afterwards.
   */
  drafts(): Uint8Array[] {
    const [only] = this.parts;
    if (this.parts.length === 1) return only!.builder.drafts();
    const joined = this.#pool.reserve(this.usedBytes);
    this.#pool.take(joined, this.usedBytes);
    const drafts: Uint8Array[] = [];
    let at = 0;
    for (const { builder } of this.parts) {
      builder.copyDrafts(joined, at, drafts);
      at += builder.usedBytes;
    }
    return drafts;
  }

  fail(fault: Fault): void {
    for (const part of this.parts) part.fail(fault);
  }
}

function firstParts(parts: readonly QueuedGroup[]): Map<LogId, number> {
  const first = new Map<LogId, number>();
  for (let at = 0; at < parts.length; at++) {
    const { logId } = parts[at]!;
    if (at === 0 || parts[at - 1]!.logId !== logId) first.set(logId, at);
  }
  return first;
}

const noParts: readonly QueuedGroup[] = [];
