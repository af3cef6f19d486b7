/**
 * The files of sealed segments, opened when they are read and closed when others are wanted more: at most so many
 * store files and so many index mappings at once, the least recently used goes first.
 *
 * A reader never holds a file over an await, so whatever is evicted is not in use.
 *
 * Never: opens the active segment's files.
 */
import { type Disk, type DiskFile, syncFile } from "../../lib/disk/disk.ts";
import type { MappedFile, Mapper } from "../../lib/disk/mapped-file.ts";
import { DamageRegistry } from "./damage.ts";

export const storeName = (first: number): string => `${String(first).padStart(20, "0")}.store`;
export const indexName = (first: number): string => `${String(first).padStart(20, "0")}.index`;

/** The first Raft index that a file's name says, or undefined when it is no such name. */
export function firstIndexOf(name: string, extension: "store" | "index"): number | undefined {
  const match = /^(\d{20})\.(store|index)$/.exec(name);
  if (match === null || match[2] !== extension) return undefined;
  const first = Number(match[1]);
  return Number.isSafeInteger(first) && first > 0 ? first : undefined;
}

/** A bounded map that closes what it drops. */
class Pool<T extends { close(): void }> {
  readonly #max: number;
  readonly #open: (path: string) => T;
  readonly #held = new Map<string, T>();

  constructor(max: number, open: (path: string) => T) {
    this.#max = max;
    this.#open = open;
  }

  get size(): number {
    return this.#held.size;
  }

  get(path: string): T {
    const found = this.#held.get(path);
    if (found !== undefined) {
      this.#held.delete(path);
      this.#held.set(path, found);
      return found;
    }
    for (const oldest of this.#held.keys()) {
      if (this.#held.size < this.#max) break;
      this.drop(oldest);
    }
    const opened = this.#open(path);
    this.#held.set(path, opened);
    return opened;
  }

  drop(path: string): void {
    this.#held.get(path)?.close();
    this.#held.delete(path);
  }

  clear(): void {
    for (const path of [...this.#held.keys()]) this.drop(path);
  }
}

export class SegmentFiles {
  readonly directory: string;
  readonly disk: Disk;
  readonly stores: Pool<DiskFile>;
  readonly indexes: Pool<MappedFile>;
  /** Where whoever reads these files and finds damage takes note of it. */
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
    this.stores = new Pool(max, (path) => disk.open(path, "read"));
    this.indexes = new Pool(max, mapper);
  }

  storePath(first: number): string {
    return `${this.directory}/${storeName(first)}`;
  }

  indexPath(first: number): string {
    return `${this.directory}/${indexName(first)}`;
  }

  /** Closes whatever is open of this segment. */
  drop(first: number): void {
    this.stores.drop(this.storePath(first));
    this.indexes.drop(this.indexPath(first));
  }

  /** Removes both files, whichever are there. The caller syncs the directory. */
  remove(first: number): void {
    this.drop(first);
    for (const path of [this.indexPath(first), this.storePath(first)]) {
      if (this.disk.exists(path)) this.disk.remove(path);
    }
  }

  /** Creates a file that opening removes unless it was renamed. One of the same name that was left over is replaced. */
  createTemporary(path: string): DiskFile {
    if (this.disk.exists(path)) this.disk.remove(path);
    return this.disk.open(path, "create");
  }

  /** Writes a file anew under its name: complete, synced, then renamed over what was there. */
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
