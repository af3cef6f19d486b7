/**
 * Space that is reserved for a full disk: a preallocated file that is never read. Once a write finds no space, records are
 * refused. Commands of the log (above all a trim) and records that were accepted before may then use the space of the file.
 * Records are accepted again as soon as there is space for the file and a margin.
 */
import { type Facts, Fault } from "../../fault.ts";
import { type Disk, isNoSpace, troubleOf } from "../../lib/disk/disk.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { diskFault } from "../segment/disk-fault.ts";

/** While the disk is full, the free space is read once per interval. */
const checkEveryMs = 250;
const mebibyte = 1024 * 1024;
/** The largest default reserve, as a part of the volume. */
const volumeShare = 1 / 16;

/** The default size of the reserve: a segment and 64 MiB, but at most a sixteenth of the volume. */
export function defaultReserveBytes(volumeBytes: number, segmentStoreBytesMax: number): number {
  return Math.min(segmentStoreBytesMax + 64 * mebibyte, Math.floor(volumeBytes * volumeShare));
}

/** Frees the space of the reserve at `path`, also before it is opened. Returns false if it holds none. */
export function releaseReserve(disk: Disk, path: string): boolean {
  try {
    const file = disk.open(path, "write");
    try {
      if (file.size() === 0) return false;
      file.truncate(0);
      return true;
    } finally {
      file.close();
    }
  } catch {
    return false;
  }
}

/** Free and total space of the file system that holds `path`, for a message. */
export function spaceText(disk: Disk, path: string): { text: string; facts: Facts<"disk-full"> } {
  try {
    const [freeBytes, volumeBytes] = [disk.freeBytes(path), disk.totalBytes(path)];
    const text = `${inMebibytes(freeBytes)} of ${inMebibytes(volumeBytes)} are free`;
    return { text, facts: { freeBytes, volumeBytes } };
  } catch {
    // Without the free space the message is only shorter.
    return { text: "", facts: {} };
  }
}

export interface ReserveOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  /** The path of the file. Its directory exists. */
  readonly path: string;
  /** The size of the file, above 0. */
  readonly bytes: number;
  /** Called with true when records begin to be refused, with false when they are accepted again. */
  readonly onChange?: (full: boolean) => void;
}

export class Reserve {
  readonly bytes: number;
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #path: string;
  readonly #directory: string;
  readonly #onChange: (full: boolean) => void;
  #full = false;
  #checkedMs = Number.NEGATIVE_INFINITY;

  /**
   * Creates the file, unless it exists with this size. Without space for it, records are refused.
   * @throws Fault "disk-failed"
   */
  constructor({ disk, clock, path, bytes, onChange = () => {} }: ReserveOptions) {
    this.#disk = disk;
    this.#clock = clock;
    this.#path = path;
    this.#directory = path.slice(0, path.lastIndexOf("/"));
    this.bytes = bytes;
    this.#onChange = onChange;
    if (!this.#fill()) this.#become(true);
  }

  /** True if records may be appended. While they may not, it checks whether there is space again. */
  get open(): boolean {
    if (!this.#full) return true;
    const now = this.#clock.monotonicMs();
    if (now - this.#checkedMs < checkEveryMs) return false;
    this.#checkedMs = now;
    try {
      if (this.#disk.freeBytes(this.#directory) < this.#missing() + Math.ceil(this.bytes / 8)) return false;
      if (this.#fill()) this.#become(false);
    } catch {
      return false; // the free space cannot be read
    }
    return !this.#full;
  }

  /** A write found no space. */
  filled(): void {
    this.#checkedMs = this.#clock.monotonicMs();
    this.#become(true);
  }

  /** Fault "disk-full" with the free space. */
  fault(): Fault {
    const { text, facts } = spaceText(this.#disk, this.#directory);
    const free = text === "" ? "" : `, ${text}`;
    const message = `the disk is full${free} and ${inMebibytes(this.bytes)} are to be kept in reserve; free some space, or trim the log`;
    return new Fault("disk-full", { message, facts: { reserveBytes: this.bytes, ...facts } });
  }

  /** Frees the space of the file for writes that must succeed. Returns false if it holds none. */
  release(): boolean {
    return releaseReserve(this.#disk, this.#path);
  }

  #become(full: boolean): void {
    if (this.#full === full) return;
    this.#full = full;
    this.#onChange(full);
  }

  #missing(): number {
    if (!this.#disk.exists(this.#path)) return this.bytes;
    const file = this.#disk.open(this.#path, "read");
    try {
      return Math.max(0, this.bytes - file.size());
    } finally {
      file.close();
    }
  }

  /** Returns false without space or a file descriptor for the file. */
  #fill(): boolean {
    try {
      const file = this.#disk.open(this.#path, this.#disk.exists(this.#path) ? "write" : "create");
      try {
        if (file.size() > this.bytes) file.truncate(this.bytes);
        file.preallocate(this.bytes);
        return true;
      } catch (reason) {
        if (isNoSpace(reason)) file.truncate(0);
        throw reason;
      } finally {
        file.close();
      }
    } catch (reason) {
      if (troubleOf(reason) === "lost") throw diskFault(reason);
      return false;
    }
  }
}

/** Whole mebibytes; below ten with one decimal. */
function inMebibytes(bytes: number): string {
  const size = bytes / mebibyte;
  return `${size < 10 ? Math.floor(size * 10) / 10 : Math.floor(size)} MiB`;
}
