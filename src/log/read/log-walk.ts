/**
 * The walk back over the segments that hold a named log, to the first one that is `reached`. It begins at what the ladder of
 * the log knows, and adds the segments that it passes.
 *
 * A step of it opens a file and checks it. So a long walk is done in turns of the event loop, and all walks of a node take
 * these turns one after another.
 */
import type { LogId, Offset, RaftIndex } from "../../types.ts";
import type { LogBatches } from "../index/log-index.ts";
import { placeOfIndex } from "../segment/find-segment.ts";
import type { Segment } from "../segment/segment.ts";
import type { LogRow } from "../state/log-row.ts";
import type { Ladders, Reached } from "./log-ladder.ts";

export interface WalkedLog {
  readonly segments: readonly Segment[];
  readonly ladders: Ladders;
  readonly closed: boolean;
}

export class LogWalk {
  readonly #log: WalkedLog;
  readonly #id: LogId;
  readonly #reached: Reached;
  #index: RaftIndex;
  /** The disk was given hints of the segments that begin here or later, and before where it was. */
  #hinted = Number.POSITIVE_INFINITY;
  /** Where it ended. Undefined before that, and if no stored segment is reached. */
  found: { readonly segment: Segment; readonly batches: LogBatches } | undefined;
  /** The offset of the log's first record in the segment after the one that was found; the end of the log if there is none. */
  above: Offset;

  constructor(log: WalkedLog, id: LogId, row: Pick<LogRow, "lastIndex" | "next">, reached: Reached) {
    this.#log = log;
    this.#id = id;
    this.#reached = reached;
    this.#index = row.lastIndex;
    this.above = row.next;
  }

  /** The files of a closed log are not opened again. */
  get isClosed(): boolean {
    return this.#log.closed;
  }

  /**
   * Looks at so many segments, or rebuilds a log index meanwhile. Returns true once the walk is over.
   * @throws Fault "corrupt", "disk-busy"
   */
  step(segmentsMax: number): boolean {
    this.#skipKnown();
    const { segments, ladders } = this.#log;
    const firstIndex = segments[0]?.first ?? Number.POSITIVE_INFINITY;
    for (let looked = 0; looked < segmentsMax; looked++) {
      if (this.found !== undefined || this.#index < firstIndex) return true;
      const at = placeOfIndex(segments, this.#index);
      const segment = segments[at]!;
      if (!segment.prepareLogs(segmentsMax * rebuildSteps, this.#id)) return false;
      const batches = segment.batchesOf(this.#id);
      if (batches === undefined) throw segment.damaged(0, "log index");
      const { previous } = batches;
      const rung = { first: segment.first, offset: batches.offset(0), previous };
      if (this.#reached(rung)) {
        this.found = { segment, batches };
        return true;
      }
      ladders.add(this.#id, rung, firstIndex);
      this.above = rung.offset;
      this.#index = previous;
      if (at > 0 && previous >= segments[at - 1]!.first) this.#hint(at, batches.share);
    }
    return this.found !== undefined || this.#index < firstIndex;
  }

  /** A log that is in two neighbours is probably in those before them, too: the disk loads their log indexes at the same time. */
  #hint(before: number, share: number | undefined): void {
    const { segments } = this.#log;
    if (segments[before - 1]!.first >= this.#hinted) return;
    const from = Math.max(0, before - segmentsMaxOfTurn);
    for (let at = before - 1; at >= from; at--) segments[at]!.willReadLogs(share);
    this.#hinted = segments[from]!.first;
  }

  /** Another walk may have come further. */
  #skipKnown(): void {
    const rung = this.#log.ladders.above(this.#id, this.#reached);
    if (rung === undefined || rung.offset >= this.above) return;
    this.#index = rung.previous;
    this.above = rung.offset;
  }
}

/** A search for the place of a read, in turns of the event loop. */
export interface Preparation {
  /** Resolves when the place is found, or cannot be found, and after stop(). It does not reject. */
  readonly over: Promise<void>;
  /** Gives it up, and frees it. The read that needs the place finds it in one turn. */
  stop(): void;
}

/** Steps on a log index that is rebuilt, instead of a look at a segment: about half a millisecond. */
const rebuildSteps = 8;
/** Segments that one turn of the event loop looks at. */
const segmentsMaxOfTurn = 8;
/** Segments that a walk looks at before it takes turns: many can begin in one turn. */
const segmentsMaxAtOnce = 2;

/** The walks of a node. One turn of the event loop does one piece of one walk. */
export class WalkTurns {
  readonly #soon: ((callback: () => void) => void) | undefined;
  /** In the order of their turns. */
  readonly #waiting = new Set<WaitingWalk>();
  #scheduled = false;

  /** Without `soon`, walks are done at once. */
  constructor(soon: ((callback: () => void) => void) | undefined) {
    this.#soon = soon;
  }

  /** How many walks wait for a turn. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Does the walk in turns. Undefined if it is over already. A walk that fails ends: the read fails with the reason. */
  finish(walk: LogWalk): Preparation | undefined {
    if (this.#soon === undefined || isOver(walk, segmentsMaxAtOnce)) return undefined;
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const waiting: WaitingWalk = { walk, end };
    this.#waiting.add(waiting);
    this.#schedule();
    const stop = (): void => {
      this.#waiting.delete(waiting);
      end();
    };
    return { over, stop };
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.size === 0) return;
    this.#scheduled = true;
    this.#soon?.(() => {
      this.#scheduled = false;
      this.#step();
      this.#schedule();
    });
  }

  #step(): void {
    const [next] = this.#waiting;
    if (next === undefined) return;
    this.#waiting.delete(next);
    if (isOver(next.walk, segmentsMaxOfTurn)) next.end();
    else this.#waiting.add(next);
  }
}

interface WaitingWalk {
  readonly walk: LogWalk;
  readonly end: () => void;
}

function isOver(walk: LogWalk, segmentsMax: number): boolean {
  try {
    return walk.isClosed || walk.step(segmentsMax);
  } catch {
    return true;
  }
}
