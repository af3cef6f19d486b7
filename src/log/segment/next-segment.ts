/**
 * The files of the segment after the active one, created and opened before they are needed. If descriptors, memory or
 * permissions are missing, that fails here, where nothing was written yet.
 *
 *   open     creates next.store.tmp and next.index.tmp, and opens one more descriptor
 *   name     writes the header, syncs and renames both, syncs the directory with the descriptor that is closed for it
 */
import { type DiskFile, syncFile, syncNames } from "../../lib/disk/disk.ts";
import type { RaftIndex } from "../../types.ts";
import type { SegmentFiles } from "./segment-files.ts";

export class NextSegment {
  readonly #files: SegmentFiles;
  readonly #opened: DiskFile[] = [];
  readonly #store: DiskFile;
  readonly #index: DiskFile;

  /** Throws what the disk throws; then all files are closed. */
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
   * Makes them the files of the segment that begins at `first`. The caller owns them then. Throws what the disk throws; then
   * the caller closes this object, and recovery removes the empty store that may be left.
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
