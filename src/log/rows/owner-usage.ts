/**
 * Counts what the logs of each owner use, from the rows of a base file, for a database that was built from it. Memory: the owners
 * of one part.
 */
import type { OwnerChange, RowDatabase, StoredRow } from "../../rows/mod.ts";
import type { RaftIndex } from "../../types.ts";
import { decodeRow, decodeUsage, encodeUsage, type LogUsage, usageKeys } from "../state/row-codec.ts";
import { type BasePlace, openBaseAt } from "./base-files.ts";

/** Owners that are written together. */
const partMax = 16_384;
/** Rows that are counted in one step. */
const stepRows = 64;

/** Runs steps, and lets other work run in between. */
export type InSlices = <T>(steps: Generator<void, T>) => Promise<T>;

/** Writes the owners of the base file to a database without owners. @throws Fault "corrupt", the error of the disk */
export async function writeOwners(
  place: BasePlace,
  base: RaftIndex,
  database: RowDatabase,
  inSlices: InSlices,
): Promise<void> {
  for (const steps of partsOf(place, base, database)) {
    const part = await inSlices(steps);
    if (part.size > 0) await database.write(changesOf(part), database.head);
  }
}

/** Does the same at once. */
export function writeOwnersNow(place: BasePlace, base: RaftIndex, database: RowDatabase): void {
  for (const steps of partsOf(place, base, database)) {
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    if (step.value.size > 0) database.writeNow(changesOf(step.value), database.head);
  }
}

type Part = ReadonlyMap<string, LogUsage>;

/** Yields the steps that count each part. The part before must be in the database. */
function* partsOf(
  place: BasePlace,
  base: RaftIndex,
  database: RowDatabase,
): Generator<Generator<void, Part>, void> {
  const file = openBaseAt(place, base);
  try {
    const rows = rowsOf(file.blocks());
    for (let isFirst = true, isOver = false; !isOver; isFirst = false) {
      const part = new Map<string, LogUsage>();
      const written = isFirst ? () => undefined : (owner: string) => database.owner(owner);
      yield (function* (): Generator<void, Part> {
        isOver = yield* countPart(part, rows, written);
        return part;
      })();
    }
  } finally {
    file.close();
  }
}

/** Counts rows until they end or the part is full. Returns true at the end. */
function* countPart(
  part: Map<string, LogUsage>,
  rows: Iterator<StoredRow, void>,
  written: (owner: string) => Uint8Array | undefined,
): Generator<void, boolean> {
  for (let counted = 1; part.size < partMax; counted++) {
    const next = rows.next();
    if (next.done === true) return true;
    const row = decodeRow(next.value);
    for (const key of usageKeys(row)) {
      const found = part.get(key) ?? usageIn(written(key));
      part.set(key, { logs: found.logs + 1, bytes: found.bytes + row.bytes });
    }
    if (counted % stepRows === 0) yield;
  }
  return false;
}

const usageIn = (stored: Uint8Array | undefined): LogUsage =>
  stored === undefined ? { logs: 0, bytes: 0 } : decodeUsage(stored);

function* rowsOf(blocks: Iterable<readonly StoredRow[]>): Generator<StoredRow, void> {
  for (const rows of blocks) yield* rows;
}

function* changesOf(part: Part): Generator<OwnerChange> {
  for (const [owner, usage] of part) yield { owner, value: encodeUsage(usage) };
}
