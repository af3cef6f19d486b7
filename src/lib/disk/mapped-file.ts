/**
 * Read-only files with random access: memory-mapped with koffi, else read into the heap. Access to a mapping after
 * munmap, or beyond the end of a truncated file, kills the process. So only this file accesses a view, and returns
 * numbers and copies. Do not map a file that is still written or may be truncated.
 */
import * as fs from "node:fs";
import { assert } from "../assert.ts";
import { readU32le } from "../bytes.ts";
import { crc32 } from "../checksum.ts";
import { type Disk, readWhole } from "./disk.ts";
import { native } from "./native.ts";
import { openRegular } from "./system-disk.ts";

/** Positions are bytes from the start of the file. Every call asserts that they are inside. */
export interface MappedFile {
  readonly bytes: number;
  /** Little-endian. */
  u32(at: number): number;
  crc32(start: number, end: number): number;
  copy(start: number, end: number): Uint8Array;
  /** Frees the memory. No call may follow. */
  close(): void;
}

/** Opens a file for random access. Throws the errors of the disk. */
export type Mapper = (path: string) => MappedFile;

class View implements MappedFile {
  readonly bytes: number;
  #view: Uint8Array | undefined;
  readonly #unmap: () => void;

  constructor(view: Uint8Array, unmap: () => void) {
    this.bytes = view.length;
    this.#view = view;
    this.#unmap = unmap;
  }

  u32(at: number): number {
    return readU32le(this.#inside(at, at + 4), at);
  }

  crc32(start: number, end: number): number {
    return crc32(this.#inside(start, end), start, end);
  }

  copy(start: number, end: number): Uint8Array {
    return Uint8Array.from(this.#inside(start, end).subarray(start, end));
  }

  close(): void {
    this.#inside(0, 0);
    this.#view = undefined;
    this.#unmap();
  }

  #inside(start: number, end: number): Uint8Array {
    assert(this.#view !== undefined, "a mapping was touched after it was closed");
    assert(start >= 0 && start <= end && end <= this.bytes, "outside the mapping");
    return this.#view;
  }
}

/** Reads whole files into the heap, from any disk. */
export function heapMapper(disk: Disk): Mapper {
  return (path) => new View(readWhole(disk, path), () => {});
}

/** Maps files of the system's disk. Undefined if mapping is not available. */
export function systemMapper(): Mapper | undefined {
  const calls = native();
  if (calls === undefined) return undefined;
  return (path) => {
    const descriptor = openRegular(path, fs.constants.O_RDONLY);
    try {
      const bytes = fs.fstatSync(descriptor).size;
      if (bytes === 0) return new View(new Uint8Array(0), () => {});
      const { view, unmap } = calls.map(descriptor, bytes);
      return new View(new Uint8Array(view), unmap);
    } finally {
      fs.closeSync(descriptor);
    }
  };
}
