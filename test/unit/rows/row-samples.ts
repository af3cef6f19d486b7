/** Rows for tests. */
import type { RowChange, RowsHead, StoredRow } from "../../../src/rows/mod.ts";

/** A row whose name and value depend on its id and `version`. Each third one is due. */
export const sampleRow = (id: number, version = 0, valueBytes = 60): StoredRow => ({
  id,
  name: `orders/${(id * 7919) % 1_000_003}/${id}`,
  dueMs: id % 3 === 0 ? 1000 + id : undefined,
  value: Uint8Array.from({ length: valueBytes }, (_, at) => (id * 31 + version * 17 + at) & 0xff),
});

export const sampleRows = (first: number, count: number): StoredRow[] =>
  Array.from({ length: count }, (_, at) => sampleRow(first + at));

export const put = (row: StoredRow): RowChange => ({ id: row.id, row });

export const deleted = (id: number): RowChange => ({ id, row: undefined });

export const headOf = (index: number, count: number): RowsHead => ({
  index,
  count,
  value: Uint8Array.of(index & 0xff, 1, 2),
});
