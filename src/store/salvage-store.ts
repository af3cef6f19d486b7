/**
 * Opens a stable store in any state to examine or repair it. Readable values are loaded into memory. The first write creates
 * sound files from them; the damaged files are kept as `*.cut`.
 */
import { Fault } from "../fault.ts";
import { certain, type Disk, syncNames } from "../lib/disk/disk.ts";
import { systemDisk } from "../lib/disk/system-disk.ts";
import { finishConversion } from "./conversion.ts";
import { missingVote, openStableStore, openToRead } from "./directory-store.ts";
import { readLmdb } from "./lmdb-reader.ts";
import { bootKey, type StableStore, voteKey } from "./stable-store.ts";
import { outcomeOf, readState, salvageState, walOf } from "./state-image.ts";
import {
  copyAside,
  filesIn,
  hasBegun,
  isEmptyFile,
  moveAside,
  removeIfThere,
  replaceState,
  replaceVote,
  type StoreFiles,
  voteRecordOf,
} from "./store-files.ts";
import { readVoteFile, VoteFile } from "./vote-file.ts";
import type { VoteRecord } from "./vote-record.ts";

export interface SalvageOptions {
  readonly disk?: Disk;
  /** Nothing is written: a write throws Fault "failed-precondition". */
  readonly readOnly: boolean;
}

type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** Opens the store of this directory, which may be damaged, of an earlier version, or missing. */
export function openToRepair(
  directory: string,
  { disk = systemDisk, readOnly }: SalvageOptions,
): StableStore {
  const files = filesIn(directory);
  try {
    return readOnly ? new ReadOnlyStore(openToRead(disk, files)) : openStableStore(directory, { disk });
  } catch (reason) {
    if (!(reason instanceof Fault) || reason.kind !== "corrupt") throw reason;
    if (!disk.exists(directory)) return new SalvagedStore(undefined, new Map(), true);
  }
  const repair = isOldStore(disk, files) ? oldStore(disk, files) : newStore(disk, files);
  return new SalvagedStore(readOnly ? undefined : repair.rebuild, repair.rows, repair.whole);
}

interface Repair {
  readonly rows: ReadonlyMap<string, Outcome>;
  readonly whole: boolean;
  /** Creates sound files from the rows with these changes, and opens them. */
  readonly rebuild: (rows: ReadonlyMap<string, Outcome>, changes: Changes) => StableStore;
}
type Changes = Readonly<Record<string, unknown>>;

/** Returns true if the LMDB file is the valid store: the newer store has no write yet. */
function isOldStore(disk: Disk, files: StoreFiles): boolean {
  if (isEmptyFile(disk, files.lmdb)) return false;
  const begun = outcomeOf(() => hasBegun(disk, files));
  return "value" in begun && !begun.value;
}

function oldStore(disk: Disk, files: StoreFiles): Repair {
  const found = outcomeOf(() => readLmdb(disk, files.lmdb));
  const { rows, whole } = "value" in found ? found.value : { rows: new Map<string, Outcome>(), whole: true };
  return {
    rows,
    whole,
    rebuild: (kept, changes) => {
      finishConversion(disk, files, changed(kept, changes), "cut");
      return openStableStore(files.directory, { disk });
    },
  };
}

function newStore(disk: Disk, files: StoreFiles): Repair {
  const hasState = disk.exists(files.state);
  const vote = disk.exists(files.vote) ? outcomeOf(() => readVoteFile(disk, files.vote)) : undefined;
  const found = vote !== undefined && "value" in vote ? vote.value : undefined;
  const writes = found?.receipt.state ?? 0;
  const state = hasState ? salvageState(disk, files.state, writes) : undefined;
  const rows = new Map<string, Outcome>(state?.rows);
  if (found !== undefined) {
    const { vote, boot } = found.record;
    if (vote !== undefined) rows.set(voteKey, { value: vote });
    if (boot !== undefined) rows.set(bootKey, { value: boot });
  } else if (hasState || vote !== undefined) {
    const lost = { error: missingVote(files.vote) };
    rows.set(voteKey, vote ?? lost).set(bootKey, vote ?? lost);
  }
  return {
    rows,
    // Without a readable database the catalog is rebuilt from the segments.
    whole: (state?.whole ?? true) && isEmptyFile(disk, files.lmdb),
    rebuild: (kept, changes) => {
      const values = changed(kept, changes);
      if (!isEmptyFile(disk, files.lmdb)) moveAside(disk, files.lmdb, "cut");
      if (found !== undefined) writeVote(disk, files, voteRecordOf(values));
      else {
        copyAside(disk, files.vote);
        replaceVote(disk, files, voteRecordOf(values));
      }
      // Until the database is replaced as well, the directory is refused, and repaired again.
      if (hasState && isSound(disk, files, writes)) {
        const store = openStableStore(files.directory, { disk });
        store.write(changes);
        return store;
      }
      rebuildState(disk, files, values, Math.max(state?.sequence ?? 0, writes) + 1);
      return openStableStore(files.directory, { disk });
    },
  };
}

/** Returns the readable rows with the changes. */
function changed(rows: ReadonlyMap<string, Outcome>, changes: Changes): Map<string, unknown> {
  const values = new Map<string, unknown>();
  for (const [key, row] of rows) if ("value" in row) values.set(key, row.value);
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) values.delete(key);
    else values.set(key, value);
  }
  return values;
}

function writeVote(disk: Disk, files: StoreFiles, record: VoteRecord): void {
  const file = new VoteFile(disk, files.vote);
  try {
    file.write(record);
  } finally {
    file.close();
  }
}

/** Returns true if the database is sound. `writes` is the number of its writes that are known to be durable. */
function isSound(disk: Disk, { state }: StoreFiles, writes: number): boolean {
  const opened = outcomeOf(() => readState(disk, state, writes));
  if ("value" in opened) opened.value.image.close();
  return "value" in opened;
}

function rebuildState(
  disk: Disk,
  files: StoreFiles,
  values: ReadonlyMap<string, unknown>,
  sequence: number,
): void {
  for (const path of [files.state, walOf(files.state)]) copyAside(disk, path);
  certain(() => syncNames(disk, files.directory));
  // A new database must not find the log of another one.
  removeIfThere(disk, walOf(files.state));
  certain(() => syncNames(disk, files.directory));
  const rows = [...values].filter(([key]) => key !== voteKey && key !== bootKey);
  replaceState(disk, files, rows, sequence);
}

const readOnlyFault = (): Fault =>
  new Fault("failed-precondition", { message: "the stable store was opened to be examined only" });

class ReadOnlyStore implements StableStore {
  readonly #store: StableStore;
  readonly whole = true;

  constructor(store: StableStore) {
    this.#store = store;
  }

  get(key: string): unknown {
    return this.#store.get(key);
  }

  keys(prefix: string): string[] {
    return this.#store.keys(prefix);
  }

  write(): void {
    throw readOnlyFault();
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}

class SalvagedStore implements StableStore {
  readonly #rebuild: Repair["rebuild"] | undefined;
  readonly #rows: ReadonlyMap<string, Outcome>;
  readonly #whole: boolean;
  #rebuilt: StableStore | undefined;

  constructor(rebuild: Repair["rebuild"] | undefined, rows: ReadonlyMap<string, Outcome>, whole: boolean) {
    this.#rebuild = rebuild;
    this.#rows = rows;
    this.#whole = whole;
  }

  get whole(): boolean {
    return this.#rebuilt !== undefined || this.#whole;
  }

  get(key: string): unknown {
    if (this.#rebuilt !== undefined) return this.#rebuilt.get(key);
    const row = this.#rows.get(key);
    if (row !== undefined && "error" in row) throw row.error;
    return structuredClone(row?.value);
  }

  keys(prefix: string): string[] {
    if (this.#rebuilt !== undefined) return this.#rebuilt.keys(prefix);
    return [...this.#rows.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  write(changes: Changes): void {
    if (this.#rebuild === undefined) throw readOnlyFault();
    if (this.#rebuilt !== undefined) this.#rebuilt.write(changes);
    else this.#rebuilt = this.#rebuild(this.#rows, changes);
  }

  async close(): Promise<void> {
    await this.#rebuilt?.close();
  }
}
