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
  readonly #of = new Map<LogId, QueuedGroup[]>();
  readonly #pool: GroupBufferPool;

  /** `parts` is not empty. Several are joined in a buffer of the pool. */
  constructor(parts: readonly QueuedGroup[], pool: GroupBufferPool) {
    this.parts = parts;
    this.#pool = pool;
    this.hasRecords = parts.some(({ hasRecords }) => hasRecords);
    let [usedBytes, batches] = [0, 0];
    for (const part of parts) {
      usedBytes += part.builder.usedBytes;
      batches += part.builder.batches;
      const known = this.#of.get(part.logId);
      if (known === undefined) this.#of.set(part.logId, [part]);
      else known.push(part);
    }
    this.usedBytes = usedBytes;
    this.batches = batches;
  }

  /** The last of the parts. They are committed, or fail, together. */
  get last(): QueuedGroup {
    return this.parts[this.parts.length - 1]!;
  }

  /** The parts of this log. */
  of(logId: LogId): readonly QueuedGroup[] {
    return this.#of.get(logId) ?? noParts;
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
    const drafts = this.parts.flatMap(({ builder }) => builder.drafts());
    if (this.parts.length === 1) return drafts;
    const joined = this.#pool.reserve(this.usedBytes);
    this.#pool.take(joined, this.usedBytes);
    let at = 0;
    return drafts.map((draft) => {
      joined.set(draft, at);
      at += draft.length;
      return joined.subarray(at - draft.length, at);
    });
  }

  fail(fault: Fault): void {
    for (const part of this.parts) part.fail(fault);
  }
}

const noParts: readonly QueuedGroup[] = [];
