/**
 * The files of the segment that comes after the active one, created and opened before they are needed: what can fail for
 * want of descriptors, memory or rights fails here, where nothing depends on it yet.
 *
 *   open     next.store.tmp, next.index.tmp, and a descriptor more than the two need
 *   name     header written, both synced and renamed, directory synced (with the descriptor given back)
 */
import { type DiskFile, syncFile, syncNames } from "../../lib/disk/disk.ts";
import type { RaftIndex } from "../../types.ts";
import type { SegmentFiles } from "./segment-files.ts";

export class NextSegment {
  readonly #files: SegmentFiles;
  readonly #opened: DiskFile[] = [];
  readonly #store: DiskFile;
  readonly #index: DiskFile;

  /** Throws what the disk throws, and then nothing is left open. */
  constructor(files: SegmentFiles) {
    this.#files = files;
    const temporary = (name: string): string => `${files.directory}/next.${name}.tmp`;
    try {
      this.#store = this.#keep(files.createTemporary(temporary("store")));
      this.#index = this.#keep(files.createTemporary(temporary("index")));
      this.#keep(files.disk.open(temporary("store"), "read"));
    } catch (reason) {
      this.close();
      throw reason;
    }
  }

  /**
   * Makes them the files of the segment that begins at `first`; the caller owns them then. Throws what the disk throws:
   * then this is to be closed, and what it left of the segment is an empty store that no catalog lists.
   */
  name(first: RaftIndex, indexBody: Uint8Array): { readonly store: DiskFile; readonly index: DiskFile } {
    const { disk, directory } = this.#files;
    this.#index.write(indexBody, 0);
    for (const file of [this.#index, this.#store]) syncFile(file);
    disk.rename(this.#index.path, this.#files.indexPath(first));
    disk.rename(this.#store.path, this.#files.storePath(first));
    this.#opened.pop()?.close();
    syncNames(disk, directory);
    return { store: this.#store, index: this.#index };
  }

  close(): void {
    for (const file of this.#opened.splice(0)) file.close();
  }

  #keep(file: DiskFile): DiskFile {
    this.#opened.push(file);
    return file;
  }
}
