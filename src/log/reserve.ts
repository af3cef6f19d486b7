/**
 * Room kept free for when the disk is full: a preallocated file that nothing reads. Records are refused once a
 * write found no room; commands of the log (a trim, above all) may then use what the file held. When there is room
 * again for the file and a margin, records are taken again by themselves.
 *
 * Never: asks for the free space in a healthy log, deletes anything else.
 */
import type { Clock } from "../lib/clock.ts";
import { type Disk, isNoSpace } from "../lib/disk.ts";

/** While full, the free space is looked at this often at most. */
const lookEveryMs = 250;

export class Reserve {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #path: string;
  readonly #bytes: number;
  #full = false;
  #lookedMs = Number.NEGATIVE_INFINITY;

  /** Makes the file, if it is not there with so many bytes; without room for it the log begins as full. */
  constructor(disk: Disk, clock: Clock, path: string, bytes: number) {
    this.#disk = disk;
    this.#clock = clock;
    this.#path = path;
    this.#bytes = bytes;
    this.#full = !this.#fill();
  }

  /** May records be appended? Looks for room when they might not. */
  get open(): boolean {
    if (!this.#full) return true;
    const now = this.#clock.monotonicMs();
    if (now - this.#lookedMs < lookEveryMs) return false;
    this.#lookedMs = now;
    const margin = Math.ceil(this.#bytes / 8);
    if (this.#disk.freeBytes(this.#path) < this.#missing() + margin) return false;
    this.#full = !this.#fill();
    return !this.#full;
  }

  /** A write found no room. */
  filled(): void {
    this.#full = true;
    this.#lookedMs = this.#clock.monotonicMs();
  }

  /** Gives the room back, for a command that must be written. False when there was none to give. */
  release(): boolean {
    if (this.#missing() === this.#bytes) return false;
    const file = this.#disk.open(this.#path, "write");
    try {
      file.truncate(0);
      return true;
    } finally {
      file.close();
    }
  }

  #missing(): number {
    if (!this.#disk.exists(this.#path)) return this.#bytes;
    const file = this.#disk.open(this.#path, "read");
    const size = file.size();
    file.close();
    return Math.max(0, this.#bytes - size);
  }

  #fill(): boolean {
    if (this.#missing() === 0) return true;
    const file = this.#disk.open(this.#path, this.#disk.exists(this.#path) ? "write" : "create");
    try {
      file.preallocate(this.#bytes);
      return true;
    } catch (reason) {
      if (!isNoSpace(reason)) throw reason;
      file.truncate(0);
      return false;
    } finally {
      file.close();
    }
  }
}
