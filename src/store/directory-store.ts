/**
 * The stable store of a data directory: term, vote and boot number in the vote file, everything else in the state database.
 */
import { Fault } from "../fault.ts";
import type { Disk } from "../lib/disk/disk.ts";
import { systemDisk } from "../lib/disk/system-disk.ts";
import { convertStore, twoStores } from "./conversion.ts";
import { damagedDatabase } from "./sqlite-error.ts";
import { bootKey, type StableStore, voteKey } from "./stable-store.ts";
import { StateDatabase } from "./state-database.ts";
import { filesIn, hasBegun, isEmptyFile, isFreshVote, makeStore, type StoreFiles } from "./store-files.ts";
import { VoteFile } from "./vote-file.ts";
import { bootOf, voteOf } from "./vote-record.ts";

export interface StoreOptions {
  /** Default: the machine's. Its paths must be the machine's, because SQLite opens them itself. */
  readonly disk?: Disk;
  /** The store of an earlier version was converted, and is kept under this name. */
  readonly converted?: (kept: string) => void;
}

/**
 * Opens the store of this directory, which must exist. Creates a store if there is none, and converts one of an earlier
 * version. No byte of an existing store changes before the first write.
 * @throws Fault "corrupt", "locked"; the error of the disk
 */
export function openStableStore(directory: string, options: StoreOptions = {}): StableStore {
  const { disk = systemDisk, converted } = options;
  const files = filesIn(directory);
  if (!isEmptyFile(disk, files.lmdb)) {
    const kept = convertStore(disk, files);
    converted?.(kept);
  } else if (isNewStore(disk, files)) makeStore(disk, files, new Map());
  return new DirectoryStore(disk, files);
}

/**
 * Opens the store of this directory without writing to it.
 * @throws Fault "corrupt" also for the store of an earlier version, see salvage-store.ts
 */
export function openToRead(disk: Disk, files: StoreFiles): StableStore {
  if (!isEmptyFile(disk, files.lmdb)) throw twoStores(files);
  return new DirectoryStore(disk, files);
}

/** Returns true if neither file exists, or if a crash interrupted their creation. @throws Fault "corrupt" if one was lost */
function isNewStore(disk: Disk, files: StoreFiles): boolean {
  if (disk.exists(files.state)) return false;
  if (!disk.exists(files.vote)) return true;
  if (hasBegun(disk, files) || !isFreshVote(disk, files)) throw damagedDatabase(files.state, "missing");
  return true;
}

class DirectoryStore implements StableStore {
  readonly whole = true;
  readonly #vote: VoteFile;
  readonly #state: StateDatabase;

  constructor(disk: Disk, files: StoreFiles) {
    if (!disk.exists(files.vote)) throw missingVote(files.vote);
    if (!disk.exists(files.state)) throw damagedDatabase(files.state, "missing");
    this.#vote = new VoteFile(disk, files.vote);
    this.#state = new StateDatabase(disk, files.state, this.#vote.receipt.state);
  }

  get(key: string): unknown {
    const { vote, boot } = this.#vote.record;
    if (key === voteKey) return structuredClone(vote);
    if (key === bootKey) return structuredClone(boot);
    return this.#state.get(key);
  }

  keys(prefix: string): string[] {
    const votes = [voteKey, bootKey].filter((key) => key.startsWith(prefix) && this.get(key) !== undefined);
    const found = this.#state.keys(prefix);
    return votes.length === 0 ? found : [...votes, ...found].sort();
  }

  write(changes: Readonly<Record<string, unknown>>): void {
    const { [voteKey]: vote, [bootKey]: boot, ...rest } = changes;
    this.#state.settle();
    if (voteKey in changes || bootKey in changes) {
      const { record } = this.#vote;
      this.#vote.write({
        vote: voteKey in changes ? voteOf(vote) : record.vote,
        boot: bootKey in changes ? bootOf(boot) : record.boot,
      });
    }
    if (Object.keys(rest).length === 0) return;
    this.#state.write(rest);
    this.#vote.noteState(this.#state.sequence);
    this.#state.tidy();
  }

  async close(): Promise<void> {
    this.#vote.close();
    this.#state.close();
  }
}

/** Returns Fault "corrupt" for a state database without a vote file. */
export function missingVote(file: string): Fault {
  return new Fault("corrupt", {
    message: `${file} is damaged at byte 0 (missing), the file is gone and its state database is there`,
    facts: { file, position: 0, why: "missing" },
  });
}
