/**
 * The number of rows and the sum of their checksums, stored in a row of their own. A row's checksum detects damage in the
 * row. The census detects a row that is missing, is older than the others, or was never written. Pure.
 */
import { fieldsOf } from "../lib/fields.ts";
import { markOf } from "./row.ts";

/** Sorts after every other key. */
export const censusKey = "~census";

/** The value of the census row. */
export interface CensusRow {
  readonly rows: number;
  readonly sum: number;
  /** The number of writes to the database. */
  readonly sequence: number;
}

export type RowChange = readonly [key: string, stored: Uint8Array | undefined];

export class Census {
  readonly #marks = new Map<string, number>();
  #sum = 0;

  take(changes: readonly RowChange[]): void {
    for (const [key, stored] of changes) {
      this.#sum = (this.#sum - (this.#marks.get(key) ?? 0)) >>> 0;
      this.#marks.delete(key);
      if (stored === undefined) continue;
      this.#marks.set(key, markOf(stored));
      this.#sum = (this.#sum + markOf(stored)) >>> 0;
    }
  }

  /** Returns the census row for the state after these changes, which have different keys. */
  after(changes: readonly RowChange[], sequence: number): CensusRow {
    let [rows, sum] = [this.#marks.size, this.#sum];
    for (const [key, stored] of changes) {
      const before = this.#marks.get(key);
      rows += (stored === undefined ? 0 : 1) - (before === undefined ? 0 : 1);
      sum = (sum + (stored === undefined ? 0 : markOf(stored)) - (before ?? 0)) >>> 0;
    }
    return { rows, sum, sequence };
  }

  /** Returns true if `row` is the census of these rows. */
  agreesWith(row: CensusRow): boolean {
    return row.rows === this.#marks.size && row.sum === this.#sum;
  }

  /** Returns the checksum that the row of this key must have. */
  mark(key: string): number | undefined {
    return this.#marks.get(key);
  }
}

/** Decodes a stored census row. Returns undefined for a malformed one. */
export function censusRowOf(value: unknown): CensusRow | undefined {
  const { rows, sum, sequence } = fieldsOf(value);
  if (typeof rows !== "number" || typeof sum !== "number" || typeof sequence !== "number") return undefined;
  return { rows, sum, sequence };
}
