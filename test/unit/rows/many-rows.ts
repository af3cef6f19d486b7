/** A million rows for measurements, as named logs of tenants would have. They are made one at a time. */
import type { RowChange, StoredRow } from "../../../src/rows/mod.ts";

const value = new Uint8Array(100).fill(7);

const manyRow = (id: number, version = 0): StoredRow => ({
  id,
  name: manyName(id),
  dueMs: id % 10 === 0 ? 1_700_000_000_000 + id : undefined,
  value: version === 0 ? value : value.with(0, version),
});

export const manyName = (id: number): string => `tenants/${Math.imul(id, 0x9e3779b1) >>> 8}/orders/${id}`;

/** The rows from 1 to `count`. */
export function* manyRows(count: number): Generator<RowChange, void> {
  for (let id = 1; id <= count; id++) yield { id, row: manyRow(id) };
}

/** `changes` different rows, spread over all of them, in no order. */
export function* scattered(count: number, changes: number, version: number): Generator<RowChange, void> {
  const step = 7_368_787; // A prime: it reaches each row once before any twice.
  for (let at = 1; at <= changes; at++) {
    const id = 1 + ((at * step) % count);
    yield { id, row: manyRow(id, version) };
  }
}
