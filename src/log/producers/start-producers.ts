/**
 * The producers at a start that the log will be reset to, if there are many: their table is built in steps, and their file is written
 * before the one transaction that names it.
 */
import type { Disk } from "../../lib/disk/disk.ts";
import type { RaftIndex } from "../../types.ts";
import type { LogStart } from "../segment/catalog.ts";
import { ProducerTable } from "../state/producer-table.ts";
import { type ProducersFile, packProducers, writeProducers } from "./producers-file.ts";

export interface StartProducers {
  /** Of the start. */
  readonly index: RaftIndex;
  readonly table: ProducerTable;
  readonly file: ProducersFile;
}

const ending = ".start-producers";

/** @throws the error of the disk; then there is no file */
export async function prepareProducers(
  { disk, directory }: { readonly disk: Disk; readonly directory: string },
  { end: { index }, checkpoint }: LogStart,
  inSlices: <T>(steps: Generator<void, T>) => Promise<T>,
): Promise<StartProducers> {
  const table = await inSlices(ProducerTable.build(checkpoint.producers));
  // A segment that began at the same index has another name: it may still be removed.
  const name = `${String(index + 1).padStart(20, "0")}${ending}`;
  const pieces = packProducers(table.freeze());
  const file = await writeProducers(disk, directory, name, pieces, table.size, () => true);
  return { index, table, file: file! };
}

/** Removes the files of other starts. The caller syncs the directory. */
export function removeOtherStarts(
  { disk, directory }: { readonly disk: Disk; readonly directory: string },
  used: readonly (ProducersFile | undefined)[],
): void {
  for (const name of disk.list(directory)) {
    if (name.endsWith(ending) && !used.some((one) => one?.file === name)) disk.remove(`${directory}/${name}`);
  }
}
