/**
 * Follows frames that are not staged yet, to tell whether their offsets continue those of their logs, and whether creates have
 * a new id and a free name. Pure.
 *
 * A peer's frames pass here before they become part of the log, so a frame that does not fit its log is refused and not
 * staged.
 */
import type { LogId, Offset, RaftIndex } from "../../types.ts";
import { defaultAfter, type LogFlaw, unknownOffset } from "../frame/chain.ts";
import { frameBaseOffset, frameLogId } from "../frame/frame.ts";
import { type LogRow, rowAfter } from "./log-row.ts";
import type { CreatesAt, LogTable } from "./log-table.ts";

type Table = Pick<LogTable, "rowAt" | "createsAt">;

export class FrameSequence {
  readonly #table: Table;
  readonly #index: RaftIndex;
  /** The rows that the frames changed; undefined if they deleted them. */
  readonly #rows = new Map<LogId, LogRow | undefined>();
  /** The logs that the frames created or deleted, by name; undefined if they deleted them. */
  readonly #names = new Map<string, LogId | undefined>();
  /** The lowest id that no log had. */
  #nextId = 0;
  #nextOffset: Offset;
  #creates: CreatesAt | undefined;

  /** Begins after `index`, where `default` continues at `nextOffset`. `index` is not below the committed index. */
  constructor(table: Table, index: RaftIndex, nextOffset: Offset) {
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
    if (before === undefined && after !== undefined) {
      const flaw = this.#addCreate(after);
      if (flaw !== undefined) return flaw;
    } else if (before !== undefined && after === undefined) this.#names.set(before.name, undefined);
    this.#rows.set(id, after);
    return undefined;
  }

  #addCreate({ id, name }: LogRow): LogFlaw | undefined {
    this.#creates ??= this.#table.createsAt(this.#index);
    if (id < Math.max(this.#creates.nextId, this.#nextId)) return "id-used";
    const holder = this.#names.has(name) ? this.#names.get(name) : this.#creates.idOf(name);
    if (holder !== undefined) return "name-used";
    this.#names.set(name, id);
    this.#nextId = id + 1;
    return undefined;
  }
}
