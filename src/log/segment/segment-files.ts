/**
 * The names of segment files, and the open files of sealed segments: a limited number of stores and of index mappings. The
 * least recently used file is closed first. A reader does not hold a file over an await, so a closed file is not in use.
 */
import { type Disk, type DiskFile, errorCode, syncFile } from "../../lib/disk/disk.ts";
import type { MappedFile, Mapper } from "../../lib/disk/mapped-file.ts";
import { DamageRegistry } from "./damage.ts";

export const storeName = (first: number): string => `${String(first).padStart(20, "0")}.store`;
export const indexName = (first: number): string => `${String(first).padStart(20, "0")}.index`;
export const producersName = (first: number): string => `${String(first).padStart(20, "0")}.producers`;
/** What settling writes before it replaces a file of a segment. */
export const settledName = (name: string): string => `${name}.settled`;
export const logsName = (first: number): string => `${String(first).padStart(20, "0")}.logs`;

/** Returns the first Raft index in the name of a segment file, or undefined for another name. */
export function firstIndexOf(name: string, extension: "store" | "index"): number | undefined {
  const match = /^(\d{20})\.(store|index)$/.exec(name);
  if (match === null || match[2] !== extension) return undefined;
  const first = Number(match[1]);
  return Number.isSafeInteger(first) && first > 0 ? first : undefined;
}

/** Open files by path, limited in number. It closes the least recently used one. */
class OpenFiles<T extends { close(): void }> {
  readonly #max: number;
  readonly #open: (path: string) => T;
  readonly #files = new Map<string, T>();

  constructor(max: number, open: (path: string) => T) {
    this.#max = max;
    this.#open = open;
  }

  get size(): number {
    return this.#files.size;
  }

  has(path: string): boolean {
    return this.#files.has(path);
  }

  get(path: string): T {
    const found = this.#files.get(path);
    if (found !== undefined) {
      this.#files.delete(path);
      this.#files.set(path, found);
      return found;
    }
    for (const oldest of this.#files.keys()) {
      if (this.#files.size < this.#max) break;
      this.drop(oldest);
    }
    const opened = this.#open(path);
    this.#files.set(path, opened);
    return opened;
  }

  drop(path: string): void {
    this.#files.get(path)?.close();
    this.#files.delete(path);
  }

  clear(): void {
    for (const path of [...this.#files.keys()]) this.drop(path);
  }
}

export class SegmentFiles {
  readonly directory: string;
  readonly disk: Disk;
  readonly stores: OpenFiles<DiskFile>;
  readonly indexes: OpenFiles<MappedFile>;
  /** Damage that readers of these files found. */
  readonly damage: DamageRegistry;

  constructor(
    directory: string,
    disk: Disk,
    mapper: Mapper,
    max: number,
    damage = new DamageRegistry(() => {}, undefined),
  ) {
    this.damage = damage;
    this.directory = directory;
    this.disk = disk;
    this.stores = new OpenFiles(max, (path) => disk.open(path, "read"));
    this.indexes = new OpenFiles(max, mapper);
  }

  storePath(first: number): string {
    return `${this.directory}/${storeName(first)}`;
  }

  indexPath(first: number): string {
    return `${this.directory}/${indexName(first)}`;
  }

  /** The log index. A segment that holds only `default` has none. */
  logsPath(first: number): string {
    return `${this.directory}/${logsName(first)}`;
  }

  /** Closes the files of this segment. */
  drop(first: number): void {
    this.stores.drop(this.storePath(first));
    this.indexes.drop(this.indexPath(first));
    this.indexes.drop(this.logsPath(first));
  }

  /** Removes the files of this segment that exist. The caller syncs the directory. */
  remove(first: number): void {
    this.#remove(first, (reason) => {
      throw reason;
    });
  }

  /** Does the same. A file that the disk does not remove stays. */
  removeMost(first: number): void {
    this.#remove(first, (reason) => {
      if (errorCode(reason) === "") throw reason;
    });
  }

  #remove(first: number, failed: (reason: unknown) => void): void {
    this.drop(first);
    const { directory } = this;
    const names = [producersName, logsName, indexName, storeName].map((name) => name(first));
    for (const path of names.map((name) => `${directory}/${name}`)) {
      try {
        if (this.disk.exists(path)) this.disk.remove(path);
      } catch (reason) {
        failed(reason);
      }
    }
  }

  /** Removes what a settling of this segment wrote and did not put in place. */
  removeSettled(first: number): void {
    for (const path of this.#settledPaths(first)) {
      if (this.disk.exists(settledName(path))) this.disk.remove(settledName(path));
    }
  }

  /** Puts the files that settling wrote, and that are still there, in the place of the others. The caller syncs the directory. */
  takeSettled(first: number): void {
    this.drop(first);
    for (const path of this.#settledPaths(first)) {
      if (this.disk.exists(settledName(path))) this.disk.rename(settledName(path), path);
    }
  }

  #settledPaths(first: number): readonly string[] {
    return [this.storePath(first), this.indexPath(first), this.logsPath(first)];
  }

  /** Creates a file, which recovery removes unless it is renamed. An old file of this name is replaced. */
  createTemporary(path: string): DiskFile {
    if (this.disk.exists(path)) this.disk.remove(path);
    return this.disk.open(path, "create");
  }

  /** Replaces a file: writes a temporary file, syncs it and renames it. The caller syncs the directory. */
  replace(path: string, bytes: Uint8Array): void {
    const temporary = `${path}.tmp`;
    const file = this.createTemporary(temporary);
    try {
      file.write(bytes, 0);
      syncFile(file);
    } finally {
      file.close();
    }
    this.disk.rename(temporary, path);
  }

  close(): void {
    this.stores.clear();
    this.indexes.clear();
  }
}
