/**
 * Checks all rows of a database, in the worker, a piece at a time: the checksum of each row, that every tree leads to it, and in
 * the end that no tree has more entries than there are rows.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { RowsHead } from "../rows.ts";
import { damagedRows, rowOf } from "./schema.ts";

/** Rows of one piece. Writes wait for a piece, so it is small. */
const pieceRows = 1000;

export class RowScrub {
  readonly #path: string;
  readonly #page: StatementSync;
  /** Each finds the id of a row. */
  readonly #byId: StatementSync;
  readonly #byName: readonly StatementSync[];
  readonly #byDue: readonly StatementSync[];
  readonly #counts: readonly StatementSync[];
  readonly #dueCounts: readonly StatementSync[];

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
    this.#dueCounts = each(due, (tree) => `${counted(`INDEXED BY ${tree}`)} WHERE due IS NOT NULL`);
  }

  /** See RowDatabase.scrub(). @throws Fault "corrupt", errors of SQLite */
  check(afterId: number, head: RowsHead): number | undefined {
    const rows = this.#page.all(afterId, pieceRows);
    for (const columns of rows) this.#checkRow(columns);
    if (rows.length === pieceRows) return Number(rows.at(-1)!["id"]);
    const counts = this.#counts.map((count) => count.get()?.["count"]);
    const [due, dueAgain] = this.#dueCounts.map((count) => count.get()?.["count"]);
    if (counts.some((count) => count !== head.count) || due !== dueAgain) {
      throw damagedRows(this.#path, "count");
    }
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
