/**
 * Reads the rows of a database, on the main thread. Every read is one get() or an all() with a limit: an open iterator or
 * transaction would keep its view of the data. What is not found is looked up in a second tree.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { assert } from "../../lib/assert.ts";
import type { Disk } from "../../lib/disk/disk.ts";
import { ownerId } from "../row-codec.ts";
import { type DueRow, type FoundRow, pageRowsMax, type StoredRow } from "../rows.ts";
import { decodeHead, type HeadRecord } from "./head-record.ts";
import { RowScrub } from "./row-scrub.ts";
import { connect, damagedRows, hasSchema, rowOf, withSqlite } from "./schema.ts";

const cacheKiB = 4096;

type Columns = Readonly<Record<string, unknown>>;
/** A query of each of two trees with the same content. */
type Pages = readonly [one: StatementSync, again: StatementSync];

export class RowReader {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #get: Record<
    "head" | "row" | "rowsAfter" | "idAgain" | "idOfName" | "owner" | "ownerAgain",
    StatementSync
  >;
  readonly #pages: Record<"from" | "after" | "dueAt" | "dueAfter", Pages>;
  #scrub: RowScrub | undefined;

  /** @throws Fault "corrupt", the error of the disk */
  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.#path = path;
    this.#database = this.#try(() => connect(path, true, cacheKiB));
    try {
      if (!this.#try(() => hasSchema(this.#database))) throw damagedRows(path, "schema");
      [this.#get, this.#pages] = this.#try(() => [getsOf(this.#database), pagesOf(this.#database)]);
    } catch (reason) {
      this.#database.close();
      throw reason;
    }
  }

  head(): HeadRecord {
    const stored = this.#try(() => this.#get.head.get()?.["value"]);
    const record = stored instanceof Uint8Array ? decodeHead(stored) : undefined;
    if (record === undefined) throw damagedRows(this.#path, "head");
    return record;
  }

  row(id: number): StoredRow | undefined {
    return this.#try(() => {
      const found = this.#get.row.get(id);
      if (found === undefined && this.#get.idAgain.get(id) === undefined) return undefined;
      const row = found === undefined ? undefined : rowOf(id, found);
      if (row === undefined) throw damagedRows(this.#path, "row");
      return row;
    });
  }

  named(name: string): StoredRow | undefined {
    const id = this.#try(() => this.#get.idOfName.get(name)?.["id"]);
    if (id === null || id === undefined) return undefined;
    const row = typeof id === "number" ? this.row(id) : undefined;
    if (row?.name !== name) throw damagedRows(this.#path, "row");
    return row;
  }

  rowsAfter(afterId: number, limit: number): readonly FoundRow[] {
    assert(limit <= pageRowsMax, "a page has a limit");
    return this.#try(() =>
      this.#get.rowsAfter.all(afterId, limit).map((columns) => {
        const id = Number(columns["id"]);
        return { id, row: rowOf(id, columns) };
      }),
    );
  }

  /** See RowDatabase.scrubNow(). */
  scrub(after: number): number | undefined {
    const { head } = this.head();
    return this.#try(() => {
      this.#scrub ??= new RowScrub(this.#database, this.#path);
      return this.#scrub.check(after, head);
    });
  }

  owner(owner: string): Uint8Array | undefined {
    return this.#try(() => {
      const found = this.#get.owner.get(owner);
      if (found === undefined && this.#get.ownerAgain.get(owner) === undefined) return undefined;
      const row = found === undefined ? undefined : rowOf(ownerId, { ...found, due: null });
      if (row?.name !== owner) throw damagedRows(this.#path, "row");
      return row.value;
    });
  }

  namesFrom(prefix: string, after: string, limit: number): readonly string[] {
    assert(limit <= pageRowsMax, "a page has a limit");
    const isAfter = Buffer.compare(Buffer.from(after), Buffer.from(prefix)) >= 0;
    const pages = isAfter ? this.#pages.after : this.#pages.from;
    const bounds = [isAfter ? after : prefix, successorOf(prefix) ?? aboveText, limit];
    return this.#agreed(pages, bounds, ({ name }) => String(name));
  }

  due(ms: number, after: DueRow | undefined, limit: number): readonly DueRow[] {
    assert(limit <= pageRowsMax, "a page has a limit");
    const { dueAt, dueAfter } = this.#pages;
    const dueOf = ({ due, id }: Columns): DueRow => ({ dueMs: Number(due), id: Number(id) });
    if (after === undefined) return this.#agreed(dueAfter, [-1, ms, limit], dueOf);
    const same = after.dueMs > ms ? [] : this.#agreed(dueAt, [after.dueMs, after.id, limit], dueOf);
    return [...same, ...this.#agreed(dueAfter, [after.dueMs, ms, limit - same.length], dueOf)];
  }

  close(): void {
    this.#database.close();
  }

  /** Returns the results of a query that both trees give. */
  #agreed<T>(
    pages: Pages,
    bounds: readonly SQLInputValue[],
    resultOf: (columns: Columns) => T,
  ): readonly T[] {
    return this.#try(() => {
      const [found, again] = [pages[0].all(...bounds), pages[1].all(...bounds)];
      const isSame = found.every((columns, at) =>
        Object.entries(columns).every(([name, value]) => again[at]?.[name] === value),
      );
      if (!isSame || found.length !== again.length) throw damagedRows(this.#path, "pages");
      return found.map(resultOf);
    });
  }

  #try<T>(work: () => T): T {
    return withSqlite(this.#disk, this.#path, work);
  }
}

const getsOf = (database: DatabaseSync) => ({
  head: database.prepare("SELECT value FROM head WHERE id = 0"),
  row: database.prepare("SELECT name, due, value FROM rows NOT INDEXED WHERE id = ?"),
  rowsAfter: database.prepare(
    "SELECT id, name, due, value FROM rows NOT INDEXED WHERE id > ? ORDER BY id LIMIT ?",
  ),
  idAgain: database.prepare("SELECT 1 FROM rows INDEXED BY ids_again WHERE id = ?"),
  // One statement for both trees: most of its time is that of a transaction. Every create looks up a name that is not there.
  idOfName: database.prepare(
    `SELECT coalesce((SELECT id FROM rows INDEXED BY names WHERE name = ?1),
      (SELECT id FROM rows INDEXED BY names_again WHERE name = ?1)) AS id`,
  ),
  owner: database.prepare("SELECT name, value FROM owners INDEXED BY owner_names WHERE name = ?"),
  ownerAgain: database.prepare("SELECT 1 FROM owners INDEXED BY owner_names_again WHERE name = ?"),
});

function pagesOf(database: DatabaseSync) {
  const names = (comparison: string): Pages =>
    twice(
      database,
      (tree) =>
        `SELECT name FROM rows INDEXED BY ${tree} WHERE name ${comparison} ? AND name < ? ORDER BY name`,
      "names",
    );
  const due = (where: string): Pages =>
    twice(
      database,
      (tree) => `SELECT due, id FROM rows INDEXED BY ${tree} WHERE ${where} ORDER BY due, id`,
      "due",
    );
  return {
    from: names(">="),
    after: names(">"),
    dueAt: due("due = ? AND id > ?"),
    dueAfter: due("due > ? AND due <= ?"),
  };
}

const twice = (database: DatabaseSync, query: (tree: string) => string, tree: string): Pages => [
  database.prepare(`${query(tree)} LIMIT ?`),
  database.prepare(`${query(`${tree}_again`)} LIMIT ?`),
];

/** In SQLite every text is below every blob. */
const aboveText = new Uint8Array(0);

/**
 * Returns the lowest text that is above every text with this prefix, in the order of UTF-8 bytes, which is that of code points.
 * Undefined if there is none.
 */
function successorOf(prefix: string): string | undefined {
  const points = [...prefix].map((character) => character.codePointAt(0)!);
  while (points.at(-1) === 0x10ffff) points.pop();
  const last = points.pop();
  if (last === undefined) return undefined;
  // There are no characters from U+D800 to U+DFFF.
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
}
