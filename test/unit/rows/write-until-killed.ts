/**
 * node write-until-killed.ts DIRECTORY: opens the database of rows, or builds it, and writes one set of changes after the other
 * until it is killed. Prints the index of each write once it is durable. Every tenth write it builds and removes another
 * generation from a base file.
 */
import { fileURLToPath } from "node:url";
import { openRowStore, type RowChange } from "../../../src/rows/mod.ts";
import { deleted, headOf, put, sampleRow } from "./row-samples.ts";
import { identityOf } from "./row-store-suite.ts";

/** The changes of a write: its own row, newer versions of three older ones, and the deletion of one. */
export function changesAt(index: number): RowChange[] {
  const older = [2, 3, 5].map((part) => Math.floor(index / part)).filter((id) => id > 0 && id % 7 !== 0);
  const changed = [...new Set(older)].map((id) => put(sampleRow(id, index, 3000)));
  return [put(sampleRow(index, index, 3000)), ...changed, ...deletedAt(index)];
}

/** Each seventh row is deleted by the write after it. */
const deletedAt = (index: number): RowChange[] =>
  index > 1 && (index - 1) % 7 === 0 ? [deleted(index - 1)] : [];

/** How many rows there are after the write `index`. */
export const countAt = (index: number): number => index - Math.max(0, Math.floor((index - 1) / 7));

async function main(directory: string): Promise<never> {
  const store = openRowStore(directory);
  const identity = identityOf(1);
  const rows = store.generations().includes(1)
    ? store.open(identity, 0)
    : await store.build(identity, headOf(0, 0));
  for (let index = rows.head.index + 1; ; index++) {
    await rows.write(changesAt(index), headOf(index, countAt(index)));
    process.stdout.write(`${index}\n`);
    if (index % 10 !== 0) continue;
    const base = `${directory}/base`;
    await store.mergeBase(undefined, base, [put(sampleRow(index))], headOf(index, 1));
    await (await store.build(identityOf(2), base)).close();
    await store.remove(2);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv[2]!);
