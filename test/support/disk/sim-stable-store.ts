/**
 * A simulated stable store. Term, vote and boot number are in the real vote file on the simulated disk. Everything else is in
 * memory: a write is a transaction, and a power cut happens before or after it. Without a disk everything is in memory.
 */
import { Fault } from "../../../src/fault.ts";
import { bootKey, type StableStore, voteKey } from "../../../src/store/mod.ts";
import { VoteFile, writeVoteFile } from "../../../src/store/vote-file.ts";
import { bootOf, emptyVote, voteOf } from "../../../src/store/vote-record.ts";
import type { SimDisk } from "./sim-disk.ts";

const directory = "/meta";
const simVotePath = `${directory}/vote`;

export interface StoreImage {
  readonly values: ReadonlyMap<string, unknown>;
  readonly sequence: number;
}

export class SimStableStore implements StableStore {
  readonly #disk: SimDisk | undefined;
  #values = new Map<string, unknown>();
  #sequence = 1;
  #whole = true;
  #vote: { readonly file: VoteFile; readonly ends: number } | undefined;

  /** `disk` has the vote file. Its crashAfter() counts each write of the store as an operation. */
  constructor(disk?: SimDisk) {
    this.#disk = disk;
    if (disk === undefined) return;
    disk.allocated = (path) => path === directory;
    disk.makeDirectory(directory);
    writeVoteFile(disk, simVotePath, emptyVote);
    disk.syncDirectory(directory);
  }

  get(key: string): unknown {
    if (this.#isInFile(key)) {
      const { vote, boot } = this.#file().record;
      return structuredClone(key === voteKey ? vote : boot);
    }
    return structuredClone(this.#values.get(key));
  }

  keys(prefix: string): string[] {
    const inFile = [voteKey, bootKey].filter((key) => this.#isInFile(key) && this.get(key) !== undefined);
    return [...inFile, ...this.#values.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  write(changes: Readonly<Record<string, unknown>>): void {
    const entries = Object.entries(changes);
    if (entries.some(([key]) => this.#isInFile(key))) {
      const file = this.#file();
      const { vote, boot } = { ...file.record };
      file.write({
        vote: voteKey in changes ? voteOf(changes[voteKey]) : vote,
        boot: bootKey in changes ? bootOf(changes[bootKey]) : boot,
      });
    }
    const rest = entries.filter(([key]) => !this.#isInFile(key));
    if (rest.length > 0) this.#transaction(rest);
  }

  get whole(): boolean {
    return this.#whole;
  }

  /** Returns a copy of everything that is not in the vote file. The disk needs its own image. */
  image(): StoreImage {
    return { values: structuredClone(this.#values), sequence: this.#sequence };
  }

  restoreImage({ values, sequence }: StoreImage): void {
    this.#values = new Map(structuredClone(values));
    this.#sequence = sequence;
    this.#vote = undefined;
  }

  /** Renames or deletes a key without a write, as corruption does. */
  loseKey(key: string, becomes?: string): void {
    if (becomes !== undefined) this.#values.set(becomes, this.#values.get(key));
    this.#values.delete(key);
    this.#whole = false;
  }

  async close(): Promise<void> {}

  #transaction(changes: readonly (readonly [key: string, value: unknown])[]): void {
    const sequence = this.#sequence + 1;
    const apply = (): void => {
      for (const [key, value] of changes) {
        if (value === undefined) this.#values.delete(key);
        else this.#values.set(key, structuredClone(value));
      }
      this.#sequence = sequence;
    };
    this.#disk?.operation(apply);
    apply();
    this.#whole = true;
    if (this.#disk !== undefined) this.#file().noteState(sequence);
  }

  #isInFile(key: string): boolean {
    return this.#disk !== undefined && (key === voteKey || key === bootKey);
  }

  /** The vote file, opened by the current process. */
  #file(): VoteFile {
    const disk = this.#disk!;
    if (this.#vote?.ends !== disk.ends) {
      const file = new VoteFile(disk, simVotePath);
      if (file.receipt.state > this.#sequence)
        throw new Fault("corrupt", { message: "state.db was rolled back" });
      this.#vote = { file, ends: disk.ends };
    }
    return this.#vote.file;
  }
}
