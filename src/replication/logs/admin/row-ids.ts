/** The ids that a leader gives to new logs and cursors. A create that fails does not return its id. */
import type { LogTable } from "../../../log/mod.ts";
import type { LogId } from "../../../types.ts";

const idMax = 0xffff_ffff;

export class RowIds {
  readonly #table: () => Pick<LogTable, "nextId">;
  /** The last one that this leader gave. */
  #given: LogId = 0;

  constructor(table: () => Pick<LogTable, "nextId">) {
    this.#table = table;
  }

  /** The id of the next one. Undefined: the cluster has given all ids. */
  get free(): LogId | undefined {
    const id = Math.max(this.#table().nextId, this.#given + 1);
    return id > idMax ? undefined : id;
  }

  /** Returns the free id, which must exist, and gives it. */
  give(): LogId {
    this.#given = this.free!;
    return this.#given;
  }
}
