/**
 * Removes the files of segments that are not in the catalog any more. The catalog lists these segments until their files are
 * gone, so opening finishes what a crash interrupts.
 *
 * Removing a file of 64 MiB takes the file system 5 ms or more. So one turn of the event loop removes the files of one segment.
 */
import { errorCode, syncNames, troubleOf } from "../../lib/disk/disk.ts";
import type { RaftIndex } from "../../types.ts";
import { type Catalog, type CatalogChanges, catalogChange } from "../segment/catalog.ts";
import type { SegmentFiles } from "../segment/segment-files.ts";
import type { DiskHealth } from "./disk-health.ts";

export class PendingRemovals {
  readonly #files: SegmentFiles;
  readonly #catalog: Catalog;
  readonly #soon: ((callback: () => void) => void) | undefined;
  /** First indexes of the segments, as the catalog has them. */
  #pending: readonly RaftIndex[] = [];
  /** Those whose files are gone, as far as this process knows. */
  readonly #gone = new Set<RaftIndex>();
  /** Those that could not be removed since the last call of run(). */
  readonly #refused = new Set<RaftIndex>();
  /** Names of other files that nothing uses. The next opening finds those that stay. */
  #unused: string[] = [];
  #isScheduled = false;
  #isClosed = false;
  /** That of the log, once it is open. */
  health: Pick<DiskHealth, "usable" | "failed"> | undefined;

  /** Without `soon`, files are removed at once. */
  constructor(files: SegmentFiles, catalog: Catalog, soon: ((callback: () => void) => void) | undefined) {
    this.#files = files;
    this.#catalog = catalog;
    this.#soon = soon;
  }

  /** Writes the changes of the catalog that remove these segments. Nothing is changed if it throws. */
  add(firsts: readonly RaftIndex[], ...changes: readonly CatalogChanges[]): void {
    const pending = [...new Set([...this.#pending, ...firsts])];
    const removed = firsts.map(catalogChange.removed);
    this.#catalog.write(...changes, ...removed, catalogChange.pendingRemovals(pending));
    this.#pending = pending;
    for (const first of firsts) {
      this.#gone.delete(first);
      this.#refused.delete(first);
      this.#files.drop(first);
    }
  }

  /** The next run() also removes this file of the directory of the segments. The catalog does not name it. */
  addFile(name: string): void {
    this.#unused.push(name);
  }

  /**
   * A segment is about to begin at `first`. If one of that name waits for its removal, its files are removed now: later that
   * would remove the new ones. A file that cannot be removed stays until it is replaced: the new store and index are renamed over
   * it, and the others count only once they are written. Returns what the catalog must have then. Call began() once it has.
   */
  beginning(first: RaftIndex): CatalogChanges | undefined {
    if (!this.#pending.includes(first)) return undefined;
    if (!this.#gone.has(first)) this.#files.removeMost(first);
    this.#gone.add(first);
    return catalogChange.pendingRemovals(this.#pending.filter((one) => one !== first));
  }

  began(first: RaftIndex): void {
    this.#pending = this.#pending.filter((one) => one !== first);
    this.#gone.delete(first);
  }

  /** True while files are to be removed, also those that could not be: run() tries them again. */
  get areLeft(): boolean {
    return this.#pending.length > 0 && !this.#isClosed;
  }

  /**
   * Removes the files, in turns. What fails is tried again at the next call or opening.
   * @throws DiskUncertain, or the error of the catalog if bytes may be lost
   */
  run(): void {
    this.#refused.clear();
    if (this.#soon !== undefined) this.#schedule();
    else while (this.#step());
  }

  /** Ends the removal. The next opening finishes it. */
  close(): void {
    this.#isClosed = true;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#pending.length === 0) return;
    this.#isScheduled = true;
    this.#soon?.(() => {
      this.#isScheduled = false;
      try {
        if (this.#step()) this.#schedule();
      } catch (reason) {
        this.health?.failed(reason);
      }
    });
  }

  /** Removes the files of one segment or, when all are gone, tells the catalog. Returns true if there is more to do. */
  #step(): boolean {
    if (this.#pending.length === 0 || this.#isClosed || this.health?.usable === false) return false;
    if (this.#removeUnused()) return true;
    let areGone = false;
    const next = this.#pending.find((first) => !this.#gone.has(first) && !this.#refused.has(first));
    try {
      if (next !== undefined) {
        this.#files.remove(next);
        this.#gone.add(next);
        return true;
      }
      if (this.#refused.size > 0) return false;
      syncNames(this.#files.disk, this.#files.directory);
      areGone = true;
      this.#catalog.write(catalogChange.pendingRemovals([]));
    } catch (reason) {
      // The files are not part of the log: a failed call other than a sync loses nothing, whatever its code is.
      if (areGone ? troubleOf(reason) !== "lost" : errorCode(reason) !== "") {
        if (next !== undefined) this.#refused.add(next);
        return next !== undefined;
      }
      // What is gone here may be back after a crash: the next opening looks.
      this.close();
      throw reason;
    }
    this.#pending = [];
    this.#gone.clear();
    return false;
  }

  /** Returns true if there was one. */
  #removeUnused(): boolean {
    const name = this.#unused.pop();
    if (name === undefined) return false;
    try {
      this.#files.disk.remove(`${this.#files.directory}/${name}`);
    } catch (reason) {
      if (errorCode(reason) === "") throw reason;
    }
    return true;
  }
}
