/**
 * Room kept free for when the disk is full: a preallocated file that nothing reads. Records are refused once a write found
 * no room; commands of the log (a trim, above all) and what was accepted before may then use what the file held. When there
 * is room again for the file and a margin, records are taken again without anyone's help.
 *
 * A healthy log never asks for the free space.
 */
import { type Facts, Fault } from "../../fault.ts";
import { type Disk, isNoSpace, troubleOf } from "../../lib/disk/disk.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { diskFault } from "../segment/disk-fault.ts";

/** While full, the free space is looked at this often at most. */
const lookEveryMs = 250;
const mebibyte = 1024 * 1024;
/** The part of a volume that is kept at most, when no size was asked for. */
const volumeShare = 1 / 16;

/** The default size on a volume: a segment and 64 MiB, but at most a sixteenth of the volume. */
export function defaultReserveBytes(volumeBytes: number, segmentStoreBytesMax: number): number {
  return Math.min(segmentStoreBytesMax + 64 * mebibyte, Math.floor(volumeBytes * volumeShare));
}

export interface ReserveOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  /** Of the file. Its directory exists. */
  readonly path: string;
  /** Above 0. */
  readonly bytes: number;
  /** Called when records begin to be refused (true), and when they are taken again. */
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
  #lookedMs = Number.NEGATIVE_INFINITY;

  /**
   * Makes the file, if it is not there with so many bytes; without room for it the log begins as full. Throws Fault
   * "disk-failed" when the disk fails.
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

  /** May records be appended? Looks for room when they might not. */
  get open(): boolean {
    if (!this.#full) return true;
    const now = this.#clock.monotonicMs();
    if (now - this.#lookedMs < lookEveryMs) return false;
    this.#lookedMs = now;
    try {
      if (this.#disk.freeBytes(this.#directory) < this.#missing() + Math.ceil(this.bytes / 8)) return false;
      if (this.#fill()) this.#become(false);
    } catch {
      return false; // a disk that cannot be asked has no room
    }
    return !this.#full;
  }

  /** A write found no room. */
  filled(): void {
    this.#lookedMs = this.#clock.monotonicMs();
    this.#become(true);
  }

  /** Why records are refused, with the figures. */
  fault(): Fault {
    let facts: Facts<"disk-full"> = { reserveBytes: this.bytes };
    let room = "";
    try {
      const freeBytes = this.#disk.freeBytes(this.#directory);
      const volumeBytes = this.#disk.totalBytes(this.#directory);
      facts = { ...facts, freeBytes, volumeBytes };
      room = `, ${inMebibytes(freeBytes)} of ${inMebibytes(volumeBytes)} are free`;
    } catch {
      // The figures are for people; without them the message is only shorter.
    }
    const message = `the disk is full${room} and ${inMebibytes(this.bytes)} are to be kept in reserve; free some space, or trim the log`;
    return new Fault("disk-full", { message, facts });
  }

  /** Gives the room back, for what must be written. False when there was none to give. */
  release(): boolean {
    try {
      if (this.#missing() === this.bytes) return false;
      const file = this.#disk.open(this.#path, "write");
      try {
        file.truncate(0);
        return true;
      } finally {
        file.close();
      }
    } catch {
      return false;
    }
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

  /** False without room for it, or without a descriptor to make it with. */
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

/** Bytes for people: whole mebibytes, with a digit behind the point below ten. */
function inMebibytes(bytes: number): string {
  const size = bytes / mebibyte;
  return `${size < 10 ? Math.floor(size * 10) / 10 : Math.floor(size)} MiB`;
}
