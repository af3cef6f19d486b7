/**
 * When the last flushes began and ended, and how long they synced: the phases of an append that was slow are told from them.
 * A flush that the disk refused began with its first try.
 */
import type { RaftIndex } from "../../types.ts";

/** In milliseconds of the monotonic clock. */
export interface FlushTime {
  /** It writes the frames from here… */
  readonly firstIndex: RaftIndex;
  /** …to here. */
  readonly lastIndex: RaftIndex;
  readonly beganMs: number;
  /** How long it has synced. */
  readonly syncMs: number;
  /** Undefined while it is under way, or after the disk refused it. */
  readonly endedMs: number | undefined;
}

/** The appender has at most two groups in flight; other entries are written between them. */
const keptMax = 16;

export class FlushTimes {
  /** The last ones that ended, oldest first. */
  readonly #ended: FlushTime[] = [];
  #current: Omit<FlushTime, "endedMs"> | undefined;

  /** A flush of these indexes begins, or is tried again. One that begins at another index is not the one that was refused. */
  began(firstIndex: RaftIndex, lastIndex: RaftIndex, nowMs: number): void {
    const isAgain = this.#current?.firstIndex === firstIndex;
    const { beganMs, syncMs } = isAgain ? this.#current! : { beganMs: nowMs, syncMs: 0 };
    this.#current = { firstIndex, lastIndex, beganMs, syncMs };
  }

  /** A sync of `ms` has ended. Counted if it is part of a flush. */
  synced(ms: number): void {
    const current = this.#current;
    if (current !== undefined) this.#current = { ...current, syncMs: current.syncMs + ms };
  }

  ended(nowMs: number): void {
    if (this.#current === undefined) return;
    if (this.#ended.length >= keptMax) this.#ended.shift();
    this.#ended.push({ ...this.#current, endedMs: nowMs });
    this.#current = undefined;
  }

  /** The flush that wrote `index`, or writes it. Undefined if it has not begun, or is not known any more. */
  of(index: RaftIndex): FlushTime | undefined {
    const writes = ({ firstIndex, lastIndex }: Omit<FlushTime, "endedMs">): boolean =>
      firstIndex <= index && index <= lastIndex;
    const current = this.#current;
    if (current !== undefined && writes(current)) return { ...current, endedMs: undefined };
    return this.#ended.findLast(writes);
  }
}
