/** The file system of the machine, as a Disk. It only translates. */
import * as fs from "node:fs";
import { dirname, resolve } from "node:path";
import { type Disk, type DiskFile, errorCode, NotRegularFile, type OpenMode } from "./disk.ts";
import { native } from "./native.ts";

const flags: Record<OpenMode, number> = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
};

/** New files are readable by their owner only, whatever the umask: they hold records, gossip keys and policies. */
export const ownerFile = 0o600;
const ownerDirectory = 0o700;

/**
 * Opens a data file and returns its descriptor. O_NONBLOCK does nothing for a regular file. Without it, opening a pipe would
 * wait for its other end.
 * @throws NotRegularFile, and the errors of open(2), which name the file
 */
export function openRegular(path: string, openFlags: number): number {
  let descriptor: number;
  try {
    descriptor = fs.openSync(path, openFlags | fs.constants.O_NONBLOCK, ownerFile);
  } catch (reason) {
    const code = errorCode(reason); // A directory that is opened to write, and a socket.
    throw code === "EISDIR" || code === "ENXIO" ? new NotRegularFile(path, code === "EISDIR") : reason;
  }
  const found = fs.fstatSync(descriptor);
  if (found.isFile()) return descriptor;
  fs.closeSync(descriptor);
  throw new NotRegularFile(path, found.isDirectory());
}

class SystemFile implements DiskFile {
  readonly path: string;
  readonly #descriptor: number;

  constructor(path: string, mode: OpenMode) {
    this.path = path;
    this.#descriptor = openRegular(path, flags[mode]);
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

  willRead(position: number, bytes: number): void {
    native()?.willRead?.(this.#descriptor, position, bytes);
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
  makeDirectory,
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

/** Creates a directory and its parents, or none of them. (Node's recursive mkdir does not end below /proc.) */
function makeDirectory(directory: string): void {
  const missing: string[] = [];
  for (let path = directory; !fs.existsSync(path); path = dirname(path)) missing.unshift(path);
  for (const [at, path] of missing.entries()) {
    try {
      fs.mkdirSync(path, ownerDirectory);
    } catch (reason) {
      for (const made of missing.slice(0, at).reverse()) fs.rmdirSync(made);
      throw reason;
    }
  }
  for (const path of missing) syncParent(path);
}

/**
 * Makes the name of a file or directory durable. A parent directory without read permission cannot be opened for a sync;
 * then the file system decides when the name is durable.
 */
export function syncParent(path: string): void {
  try {
    systemDisk.syncDirectory(dirname(resolve(path)));
  } catch (reason) {
    if (errorCode(reason) !== "EACCES") throw reason;
  }
}

function syncDirectory(directory: string): void {
  const descriptor = fs.openSync(directory, fs.constants.O_RDONLY);
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}
