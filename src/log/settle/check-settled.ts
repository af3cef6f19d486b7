/**
 * Checks that no log can still read what was settled: the records of each settled frame are below the lowest offset of their log,
 * or the log is deleted. Memory: one entry for each log with settled frames.
 */
import type { LogId, Offset, RaftIndex } from "../../types.ts";
import { batchKind, frameKind, frameLogId, frameNextOffset, frameSettledAt } from "../frame/frame.ts";
import type { Find } from "../recovery/check-index.ts";
import type { LogState } from "../state/log-state.ts";

/** The last settled frame of a log. */
interface LastSettled {
  readonly next: Offset;
  readonly settledAt: RaftIndex;
  readonly file: string;
  readonly position: number;
}

export class SettledCheck {
  readonly #last = new Map<LogId, LastSettled>();

  /** Takes a sound frame at `position` of a file. They come in the order of the log. */
  see(bytes: Uint8Array, at: number, file: string, position: number): void {
    if (frameKind(bytes, at) !== batchKind.settled) return;
    const next = frameNextOffset(bytes, at);
    this.#last.set(frameLogId(bytes, at), { next, settledAt: frameSettledAt(bytes, at), file, position });
  }

  /**
   * Finds settled frames that the state, which is that at the end, can still read. Those that were settled beyond `upTo` are passed
   * over: the trim that allowed it is not in the log. `areRowsKnown`: those of named logs.
   */
  report(
    { lowest, logs }: Pick<LogState, "lowest" | "logs">,
    areRowsKnown: boolean,
    upTo: RaftIndex,
    find: Find,
  ): void {
    for (const [id, { next, settledAt, file, position }] of this.#last) {
      if (settledAt > upTo || (id !== 0 && !areRowsKnown)) continue;
      const lowestOfLog = id === 0 ? lowest : logs.row(id)?.lowest;
      if (lowestOfLog !== undefined && lowestOfLog < next) find(file, position, "settled");
    }
  }
}
