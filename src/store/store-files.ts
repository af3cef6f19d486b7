/**
 * The files of a stable store in `<data>/meta`. They are created so that a crash leaves a whole store or none.
 *
 *   vote  state.db  state.db-wal        the store
 *   *.new                               unfinished; removed
 *   *.cut                               set aside by a repair; nothing reads them
 *   data.mdb  lock.mdb                  the store of an earlier version; *.converted after its conversion
 *
 * The vote file gets its name first. So a state database without a vote file means that the vote file was lost.
 */
import { certain, type Disk, syncNames } from "../lib/disk/disk.ts";
import { bootKey, voteKey } from "./stable-store.ts";
import { encodeState, walOf } from "./state-image.ts";
import { firstSequence, readVoteFile, writeVoteFile } from "./vote-file.ts";
import { bootOf, emptyVote, type VoteRecord, voteOf } from "./vote-record.ts";

export interface StoreFiles {
  readonly directory: string;
  readonly vote: string;
  readonly state: string;
  readonly lmdb: string;
}

export const filesIn = (directory: string): StoreFiles => ({
  directory,
  vote: `${directory}/vote`,
  state: `${directory}/state.db`,
  lmdb: `${directory}/data.mdb`,
});

export type StoredValues = ReadonlyMap<string, unknown>;

/** Returns true for a file without bytes, and for a missing file. */
export function isEmptyFile(disk: Disk, path: string): boolean {
  if (!disk.exists(path)) return true;
  const file = disk.open(path, "read");
  try {
    return file.size() === 0;
  } finally {
    file.close();
  }
}

/** Is there a store of an earlier version or of this one? */
export const hasStore = (disk: Disk, directory: string): boolean => {
  const files = filesIn(directory);
  return [files.state, files.lmdb].some((path) => !isEmptyFile(disk, path));
};

/** Returns true if something was written to this store after it was created. @throws Fault "corrupt" */
export function hasBegun(disk: Disk, { vote }: StoreFiles): boolean {
  if (!disk.exists(vote)) return false;
  const { sequence, receipt } = readVoteFile(disk, vote);
  return sequence > firstSequence || receipt.state > 0;
}

/** Returns true for a vote file of a new directory whose state database had no name yet. */
export function isFreshVote(disk: Disk, files: StoreFiles): boolean {
  return !hasBegun(disk, files) && readVoteFile(disk, files.vote).record.vote === undefined;
}

/** Creates a store with these values. It replaces one without a write. */
export function makeStore(disk: Disk, files: StoreFiles, values: StoredValues): void {
  const rows = [...values].filter(([key]) => key !== voteKey && key !== bootKey);
  const vote = voteRecordOf(values);
  for (const path of [files.state, walOf(files.state)]) removeIfThere(disk, path);
  replaceVote(disk, files, vote);
  replaceState(disk, files, rows, 1);
}

export const voteRecordOf = (values: StoredValues): VoteRecord => ({
  ...emptyVote,
  vote: voteOf(values.get(voteKey)),
  boot: bootOf(values.get(bootKey)),
});

/** Replaces the vote file. */
export function replaceVote(disk: Disk, { directory, vote }: StoreFiles, record: VoteRecord): void {
  removeIfThere(disk, `${vote}.new`);
  writeVoteFile(disk, `${vote}.new`, record);
  nameDurably(disk, `${vote}.new`, vote, directory);
}

/** Replaces the state database, whose write-ahead log must have been removed. */
export function replaceState(
  disk: Disk,
  { directory, state }: StoreFiles,
  rows: readonly (readonly [key: string, value: unknown])[],
  sequence: number,
): void {
  removeIfThere(disk, `${state}.new`);
  const file = disk.open(`${state}.new`, "create");
  try {
    file.write(encodeState(rows, sequence), 0);
    file.sync();
  } finally {
    file.close();
  }
  nameDurably(disk, `${state}.new`, state, directory);
}

/** Keeps a copy of a damaged file as `*.cut`. */
export function copyAside(disk: Disk, path: string): void {
  if (!disk.exists(path)) return;
  const [from, to] = [disk.open(path, "read"), disk.open(freeName(disk, path, "cut"), "create")];
  try {
    const bytes = new Uint8Array(from.size());
    to.write(bytes.subarray(0, from.read(bytes, 0)), 0);
    to.sync();
  } finally {
    from.close();
    to.close();
  }
}

/** Renames a file to `<path>.<ending>`, or to `<path>.2.<ending>` and so on if that exists. Returns the name. */
export function moveAside(disk: Disk, path: string, ending: "cut" | "converted"): string {
  const name = freeName(disk, path, ending);
  disk.rename(path, name);
  return name;
}

export function removeIfThere(disk: Disk, path: string): void {
  if (disk.exists(path)) disk.remove(path);
}

function nameDurably(disk: Disk, from: string, to: string, directory: string): void {
  disk.rename(from, to);
  certain(() => syncNames(disk, directory));
}

function freeName(disk: Disk, path: string, ending: string): string {
  let name = `${path}.${ending}`;
  for (let n = 2; disk.exists(name); n++) name = `${path}.${n}.${ending}`;
  return name;
}
