/**
 * What readers have learned about where a named log is: the segments that hold it, from the last one back. The next reader
 * finds its segment by binary search and opens no other file. A rung states committed facts, so it stays true as the log
 * grows. It is only a hint: a reader checks each frame.
 */
import type { LogId, Offset, RaftIndex } from "../../types.ts";

/** A segment that holds the log. */
export interface Rung {
  /** The first Raft index of the segment. */
  readonly first: RaftIndex;
  /** The offset of the log's first record there. */
  readonly offset: Offset;
  /** The Raft index of the log's last batch before the segment; 0 if there is none. */
  readonly previous: RaftIndex;
}

/** True from some segment back. */
export type Reached = (rung: Pick<Rung, "first" | "offset">) => boolean;

export class Ladder {
  /** From the end of the log back. */
  #rungs: Rung[] = [];

  get size(): number {
    return this.#rungs.length;
  }

  /** The last known segment before which the walk goes on, or undefined if it begins at the end of the log. */
  above(reached: Reached): Rung | undefined {
    return this.#rungs[this.#firstWhere(reached) - 1];
  }

  /** The first known segment after the one that begins at `first`. */
  after(first: RaftIndex): Rung | undefined {
    return this.#rungs[this.#firstWhere((rung) => rung.first <= first) - 1];
  }

  add(rung: Rung): void {
    const at = this.#firstWhere(({ first }) => first <= rung.first);
    if (this.#rungs[at]?.first !== rung.first) this.#rungs.splice(at, 0, rung);
  }

  /** Forgets what was removed, or every second rung if that is not enough. */
  shrink(max: number, firstIndex: RaftIndex): void {
    this.#rungs = this.#rungs.filter(({ first }) => first >= firstIndex);
    if (this.#rungs.length > max / 2) this.#rungs = this.#rungs.filter((_, k) => k % 2 === 0);
  }

  #firstWhere(holds: Reached): number {
    let [low, high] = [0, this.#rungs.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (holds(this.#rungs[middle]!)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Rungs of one log, and of all logs. A rung takes about 50 bytes. */
const [rungsMaxOfLog, rungsMaxOfAll] = [16_384, 65_536];

/** The ladders of the logs that were read last, of limited size. */
export class Ladders {
  readonly #ladders = new Map<LogId, Ladder>();
  readonly #maxOfLog: number;
  readonly #maxOfAll: number;
  #rungs = 0;

  constructor(maxOfLog = rungsMaxOfLog, maxOfAll = rungsMaxOfAll) {
    this.#maxOfLog = maxOfLog;
    this.#maxOfAll = maxOfAll;
  }

  /** Rungs of all logs. */
  get size(): number {
    return this.#rungs;
  }

  above(id: LogId, reached: Reached): Rung | undefined {
    const ladder = this.#ladders.get(id);
    if (ladder === undefined) return undefined;
    this.#ladders.delete(id);
    this.#ladders.set(id, ladder);
    return ladder.above(reached);
  }

  /** The known segment with the log that follows the one that begins at `first`: others may lie between them. */
  after(id: LogId, first: RaftIndex): Rung | undefined {
    return this.#ladders.get(id)?.after(first);
  }

  /** Segments before `firstIndex` were removed. */
  add(id: LogId, rung: Rung, firstIndex: RaftIndex): void {
    const ladder = this.#ladders.get(id) ?? new Ladder();
    this.#ladders.delete(id);
    this.#ladders.set(id, ladder);
    const before = ladder.size;
    ladder.add(rung);
    if (ladder.size > this.#maxOfLog) ladder.shrink(this.#maxOfLog, firstIndex);
    this.#rungs += ladder.size - before;
    for (const [oldest, { size }] of this.#ladders) {
      if (this.#rungs <= this.#maxOfAll || oldest === id) break;
      this.#ladders.delete(oldest);
      this.#rungs -= size;
    }
  }

  clear(): void {
    this.#ladders.clear();
    this.#rungs = 0;
  }
}
