/**
 * The files of a backup in a store of objects. A restore streams those with frames. Others, and those that are verified, are fetched
 * one after the other into a directory. While one is verified, the next is fetched. The directory has at most two files at a time.
 */
import { mkdirSync, rmSync, statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../fault.ts";
import { systemDisk } from "../../lib/disk/system-disk.ts";
import type { ObjectStore } from "../../objects/mod.ts";
import { type BackupSnapshot, type BackupSource, backupFiles } from "../../replication/mod.ts";
import { keyOfFile } from "./backup-keys.ts";
import { FetchedRanges } from "./fetched-ranges.ts";

const rangeBytes = 8 * 1024 * 1024;
const rangesMax = 3;

export class FetchedFiles implements BackupSource, AsyncDisposable {
  readonly #store: ObjectStore;
  readonly #snapshot: BackupSnapshot;
  readonly #directory: string;
  readonly #names: readonly string[];
  readonly #bytes: ReadonlyMap<string, number>;
  readonly #fetches = new Map<string, Promise<boolean>>();
  #streamed: FetchedRanges | undefined;

  /** `directory` is created, and removed at the end. */
  constructor(store: ObjectStore, snapshot: BackupSnapshot, directory: string) {
    [this.#store, this.#snapshot, this.#directory] = [store, snapshot, directory];
    const files = backupFiles(snapshot);
    this.#names = files.map(({ file }) => file);
    this.#bytes = new Map(files.map(({ file, bytes }) => [file, bytes]));
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  async prepare(file: string): Promise<void> {
    const at = this.#names.indexOf(file);
    const fetched = this.#begin(file);
    await fetched;
    const isBase = file === this.#snapshot.base?.file;
    const next = isBase ? undefined : this.#names[at + 1];
    if (next !== undefined) this.#begin(next).catch(() => undefined);
  }

  stream(file: string): AsyncIterable<Uint8Array> {
    this.#streamed ??= new FetchedRanges(this.#store, this.#snapshot.files);
    return this.#streamed.next(file);
  }

  release(file: string): void {
    if (!this.#fetches.has(file)) return;
    this.#fetches.delete(file);
    rmSync(this.#pathOf(file), { force: true });
  }

  size(file: string): number | undefined {
    return statSync(this.#pathOf(file), { throwIfNoEntry: false })?.size;
  }

  read(file: string, position: number, bytes: number): Uint8Array {
    if (this.size(file) === undefined)
      throw new Fault("corrupt", { message: `the backup has no file ${file}`, facts: { file } });
    const from = systemDisk.open(this.#pathOf(file), "read");
    try {
      const data = new Uint8Array(bytes);
      return data.subarray(0, from.read(data, position));
    } finally {
      from.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#fetches.values());
    await this.#streamed?.settled();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Resolves to false if there is no such object. */
  #begin(file: string): Promise<boolean> {
    const known = this.#fetches.get(file);
    if (known !== undefined) return known;
    const fetch = this.#fetch(file);
    this.#fetches.set(file, fetch);
    return fetch;
  }

  async #fetch(file: string): Promise<boolean> {
    const bytes = await this.#store.size(keyOfFile(file));
    if (bytes === undefined) return false;
    // A file of another size is damage: the reader finds it.
    const wanted = Math.min(bytes, (this.#bytes.get(file) ?? 0) + 1);
    const target = await open(this.#pathOf(file), "w", 0o600);
    try {
      const positions = Iterator.from(ranges(wanted));
      const fetchNext = async (): Promise<void> => {
        for (const position of positions) await this.#fetchRange(target, file, position, wanted);
      };
      const results = await Promise.allSettled(Array.from({ length: rangesMax }, fetchNext));
      const failed = results.find((result) => result.status === "rejected");
      if (failed !== undefined) throw failed.reason;
    } finally {
      await target.close();
    }
    return true;
  }

  async #fetchRange(target: FileHandle, file: string, position: number, wanted: number): Promise<void> {
    const bytes = Math.min(rangeBytes, wanted - position);
    const data = await this.#store.read(keyOfFile(file), position, bytes);
    if (data?.length !== bytes)
      throw new Fault("corrupt", {
        message: `${file} of the backup changed while it was read`,
        facts: { file },
      });
    for (let done = 0; done < bytes; )
      done += (await target.write(data, done, bytes - done, position + done)).bytesWritten;
  }

  #pathOf(file: string): string {
    return join(this.#directory, file);
  }
}

function* ranges(bytes: number): Generator<number, void, undefined> {
  for (let position = 0; position < bytes; position += rangeBytes) yield position;
}
