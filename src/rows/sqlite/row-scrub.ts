/**
 * Checks all rows and owners of a database, in the worker, a piece at a time: the checksum of each, that every tree leads to it,
 * and in the end that no tree has more entries than there are.
 *
 *   place := id of a row | 2^32 + number of an owner
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { ownerId } from "../row-codec.ts";
import type { RowsHead } from "../rows.ts";
import { damagedRows, rowOf } from "./schema.ts";

/** Rows of one piece. Writes wait for a piece, so it is small. */
const pieceRows = 1000;
/** The place before the first owner. */
const rowsEnd = 2 ** 32;

export class RowScrub {
  readonly #path: string;
  readonly #page: StatementSync;
  /** Each finds the id of a row. */
  readonly #byId: StatementSync;
  readonly #byName: readonly StatementSync[];
  readonly #byDue: readonly StatementSync[];
  readonly #counts: readonly StatementSync[];
  readonly #dueCounts: readonly StatementSync[];
  readonly #owners: StatementSync;
  readonly #byOwner: readonly StatementSync[];
  readonly #ownerCounts: readonly StatementSync[];

  constructor(database: DatabaseSync, path: string) {
    this.#path = path;
    const each = (trees: readonly string[], query: (tree: string) => string): readonly StatementSync[] =>
      trees.map((tree) => database.prepare(query(tree)));
    this.#page = database.prepare(
      "SELECT id, name, due, value FROM rows NOT INDEXED WHERE id > ? ORDER BY id LIMIT ?",
    );
    this.#byId = database.prepare("SELECT id FROM rows INDEXED BY ids_again WHERE id = ?");
    const [names, due] = [
      ["names", "names_again"],
      ["due", "due_again"],
    ] as const;
    this.#byName = each(names, (tree) => `SELECT id FROM rows INDEXED BY ${tree} WHERE name = ?`);
    this.#byDue = each(due, (tree) => `SELECT id FROM rows INDEXED BY ${tree} WHERE due = ? AND id = ?`);
    const counted = (tree: string): string => `SELECT count(*) AS count FROM rows ${tree}`;
    this.#counts = each(
      ["NOT INDEXED", ...[...names, "ids_again"].map((tree) => `INDEXED BY ${tree}`)],
      counted,
    );
    const ownerTrees = ["owner_names", "owner_names_again"];
    this.#owners = database.prepare(
      "SELECT id, name, value FROM owners NOT INDEXED WHERE id > ? ORDER BY id LIMIT ?",
    );
    this.#byOwner = each(ownerTrees, (tree) => `SELECT id FROM owners INDEXED BY ${tree} WHERE name = ?`);
    this.#ownerCounts = each(
      ["NOT INDEXED", ...ownerTrees.map((tree) => `INDEXED BY ${tree}`)],
      (tree) => `SELECT count(*) AS count FROM owners ${tree}`,
    );
    this.#dueCounts = each(due, (tree) => `${counted(`INDEXED BY ${tree}`)} WHERE due IS NOT NULL`);
  }

  /** See RowDatabase.scrub(). @throws Fault "corrupt", errors of SQLite */
  check(after: number, head: RowsHead): number | undefined {
    if (after >= rowsEnd) return this.#checkOwners(after - rowsEnd);
    const rows = this.#page.all(after, pieceRows);
    for (const columns of rows) this.#checkRow(columns);
    if (rows.length === pieceRows) return Number(rows.at(-1)!["id"]);
    const counts = this.#counts.map((count) => count.get()?.["count"]);
    const [due, dueAgain] = this.#dueCounts.map((count) => count.get()?.["count"]);
    if (counts.some((count) => count !== head.count) || due !== dueAgain) {
      throw damagedRows(this.#path, "count");
    }
    return rowsEnd;
  }

  #checkOwners(afterNumber: number): number | undefined {
    const owners = this.#owners.all(afterNumber, pieceRows);
    for (const columns of owners) {
      const row = rowOf(ownerId, { ...columns, due: null });
      const { id } = columns;
      if (row === undefined || !this.#byOwner.every((tree) => tree.get(row.name)?.["id"] === id))
        throw damagedRows(this.#path, "row");
    }
    if (owners.length === pieceRows) return rowsEnd + Number(owners.at(-1)!["id"]);
    const [count, ...others] = this.#ownerCounts.map((tree) => tree.get()?.["count"]);
    if (others.some((other) => other !== count)) throw damagedRows(this.#path, "count");
    return undefined;
  }

  #checkRow(columns: Readonly<Record<string, unknown>>): void {
    const { id } = columns;
    const row = typeof id === "number" ? rowOf(id, columns) : undefined;
    const isFound =
      row !== undefined &&
      this.#byId.get(row.id)?.["id"] === id &&
      this.#byName.every((tree) => tree.get(row.name)?.["id"] === id) &&
      (row.dueMs === undefined || this.#byDue.every((tree) => tree.get(row.dueMs!, row.id)?.["id"] === id));
    if (!isFound) throw damagedRows(this.#path, "row");
  }
}
