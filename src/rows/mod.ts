/** The rows of named logs on disk: a database of the rows as of a Raft index, and base files. See README.md. */
export { type BaseFile, type BaseSource, readBase } from "./base-reader.ts";
export { mergeBase } from "./base-writer.ts";
export type {
  DueRow,
  FoundRow,
  OwnerChange,
  RowChange,
  RowDatabase,
  RowStore,
  RowsHead,
  RowsIdentity,
  StoredRow,
} from "./rows.ts";
export { removeUnfinished } from "./sqlite/build-database.ts";
export { openRowStore } from "./sqlite/sqlite-row-store.ts";
