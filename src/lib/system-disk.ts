/**
 * The machine's own disk behind the Disk port. A rim: it translates and nothing else.
 *
 * Never: swallows an error, writes a part and calls it done.
 */
import * as fs from "node:fs";
import { dirname } from "node:path";
import type { Disk, DiskFile, OpenMode } from "./disk.ts";
import { native } from "./native.ts";

const flags: Record<OpenMode, number> = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
};

class SystemFile implements DiskFile {
  readonly path: string;
  readonly #descriptor: number;

  constructor(path: string, mode: OpenMode) {
    this.path = path;
    this.#descriptor = fs.openSync(path, flags[mode], 0o640);
  }

  size(): number {
    return fs.fstatSync(this.#descriptor).size;
  }

  read(target: Uint8Array, position: number): number {
    let done = 0;
    while (done < target.length) {
      const count = fs.readSync(this.#descriptor, target, done, target.length - done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  write(bytes: Uint8Array, position: number): void {
    let done = 0;
    while (done < bytes.length) {
      done += fs.writeSync(this.#descriptor, bytes, done, bytes.length - done, position + done);
    }
  }

  writeAsync(bytes: Uint8Array, position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = (done: number): void => {
        fs.write(this.#descriptor, bytes, done, bytes.length - done, position + done, (error, count) => {
          if (error !== null) reject(error);
          else if (done + count < bytes.length) step(done + count);
          else resolve();
        });
      };
      step(0);
    });
  }

  sync(): void {
    fs.fdatasyncSync(this.#descriptor);
  }

  syncAsync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#descriptor, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  truncate(bytes: number): void {
    fs.ftruncateSync(this.#descriptor, bytes);
  }

  preallocate(bytes: number): void {
    const size = this.size();
    if (size >= bytes || native()?.allocate(this.#descriptor, bytes)) return;
    const zeros = new Uint8Array(Math.min(bytes - size, 1 << 20));
    for (let at = size; at < bytes; at += zeros.length) {
      this.write(zeros.subarray(0, Math.min(zeros.length, bytes - at)), at);
    }
  }

  close(): void {
    fs.closeSync(this.#descriptor);
  }
}

/** The file system of this machine. */
export const systemDisk: Disk = {
  open: (path, mode) => new SystemFile(path, mode),
  exists: (path) => fs.existsSync(path),
  list: (directory) => fs.readdirSync(directory).sort(),
  makeDirectory(directory) {
    const made = fs.mkdirSync(directory, { recursive: true, mode: 0o750 });
    if (made === undefined) return;
    for (let at = directory; at.length >= made.length; at = dirname(at)) syncDirectory(dirname(at));
  },
  rename: (from, to) => fs.renameSync(from, to),
  remove: (path) => fs.unlinkSync(path),
  syncDirectory,
  freeBytes(path) {
    const { bavail, bsize } = fs.statfsSync(path);
    return bavail * bsize;
  },
  totalBytes(path) {
    const { blocks, bsize } = fs.statfsSync(path);
    return blocks * bsize;
  },
};

function syncDirectory(directory: string): void {
  const descriptor = fs.openSync(directory, fs.constants.O_RDONLY);
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}
