/** The logs that several directories have, with the records that all of them hold. Pure. */
import type { LogId, Offset } from "../../types.ts";
import { type LogRow, ownLowest } from "../state/log-row.ts";

/** Logs that are listed, of each kind. */
export const listedMax = 1000;

/** The records `from … to−1` of a log. */
export interface Extent {
  readonly from: Offset;
  readonly to: Offset;
}

/** The named logs of a directory, by id. Arrays of numbers, because there can be millions. */
interface Extents {
  readonly ids: LogId[];
  readonly lowest: Offset[];
  readonly next: Offset[];
}

export function extentsOf(rows: Iterable<LogRow>): Extents {
  const extents: Extents = { ids: [], lowest: [], next: [] };
  for (const row of rows) {
    extents.ids.push(row.id);
    extents.lowest.push(ownLowest(row));
    extents.next.push(row.next);
  }
  return extents;
}

export class CommonLogs {
  /** The first named logs that some directories lack, by id. */
  readonly notEverywhere: readonly LogId[];
  /** By id; `default` is the first one. */
  readonly #ids: LogId[] = [0];
  readonly #from: Offset[];
  readonly #to: Offset[];

  constructor({ from, to }: Extent, directories: readonly Extents[]) {
    this.#from = [from];
    this.#to = [to];
    const places = directories.map(() => 0);
    const missing: LogId[] = [];
    const idIn = (directory: number): LogId =>
      directories[directory]!.ids[places[directory]!] ?? Number.POSITIVE_INFINITY;
    for (;;) {
      const id = Math.min(...places.map((_, directory) => idIn(directory)));
      if (id === Number.POSITIVE_INFINITY) break;
      const having = [...places.keys()].filter((directory) => idIn(directory) === id);
      if (having.length === directories.length) {
        this.#ids.push(id);
        this.#from.push(Math.max(...directories.map(({ lowest }, at) => lowest[places[at]!]!)));
        this.#to.push(Math.min(...directories.map(({ next }, at) => next[places[at]!]!)));
      } else if (missing.length < listedMax) missing.push(id);
      for (const directory of having) places[directory]!++;
    }
    this.notEverywhere = missing;
  }

  /** How many logs all directories have. */
  get length(): number {
    return this.#ids.length;
  }

  idAt(place: number): LogId {
    return this.#ids[place]!;
  }

  extentAt(place: number): Extent {
    return { from: this.#from[place]!, to: this.#to[place]! };
  }

  /** The place of a log; undefined if a directory lacks it. */
  placeOf(id: LogId): number | undefined {
    const ids = this.#ids;
    let [low, high] = [0, ids.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ids[middle]! < id) low = middle + 1;
      else high = middle;
    }
    return ids[low] === id ? low : undefined;
  }
}
