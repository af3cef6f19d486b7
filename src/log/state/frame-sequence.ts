/**
 * Follows frames that are not staged yet, to tell whether their offsets continue those of their logs. Pure.
 *
 * A peer's frames pass here before they become part of the log, so a frame that does not fit its log is refused and not
 * staged.
 */
import type { LogId, Offset, RaftIndex } from "../../types.ts";
import { defaultAfter, type LogFlaw, unknownOffset } from "../frame/chain.ts";
import { frameBaseOffset, frameLogId } from "../frame/frame.ts";
import { type LogRow, rowAfter } from "./log-row.ts";
import type { LogTable } from "./log-table.ts";

export class FrameSequence {
  readonly #table: Pick<LogTable, "rowAt">;
  readonly #index: RaftIndex;
  /** The rows that the frames changed; undefined if they deleted them. */
  readonly #rows = new Map<LogId, LogRow | undefined>();
  #nextOffset: Offset;

  /** Begins after `index`, where `default` continues at `nextOffset`. `index` is not below the committed index. */
  constructor(table: Pick<LogTable, "rowAt">, index: RaftIndex, nextOffset: Offset) {
    this.#table = table;
    this.#index = index;
    // The first batch of all defines where offsets begin.
    this.#nextOffset = index === 0 ? unknownOffset : nextOffset;
  }

  /** Takes the checked frame at `at`, or returns what is wrong with it. */
  add(bytes: Uint8Array, at: number): LogFlaw | undefined {
    const id = frameLogId(bytes, at);
    if (id === 0) {
      const fits = this.#nextOffset === unknownOffset || frameBaseOffset(bytes, at) === this.#nextOffset;
      if (!fits) return "offset";
      this.#nextOffset = defaultAfter(bytes, at, this.#nextOffset);
      return undefined;
    }
    const before = this.#rows.has(id) ? this.#rows.get(id) : this.#table.rowAt(id, this.#index);
    const after = rowAfter(before, bytes, at);
    if (typeof after === "string") return after;
    this.#rows.set(id, after);
    return undefined;
  }
}
