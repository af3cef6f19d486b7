/** The file system of the machine, as a Disk. It only translates. */
import * as fs from "node:fs";
import { dirname, resolve } from "node:path";
import { type Disk, type DiskFile, errorCode, NotRegularFile, type OpenMode, syncFileAside } from "./disk.ts";
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

/**
 * With O_DSYNC, write(2) returns when the bytes, and what is needed to read them, are durable. Elsewhere than on Linux it promises
 * less than the sync of Node.
 */
const syncedFlags = process.platform === "linux" ? fs.constants.O_WRONLY | fs.constants.O_DSYNC : undefined;

class SystemFile implements DiskFile {
  readonly path: string;
  readonly #descriptor: number;
  /** Opened with O_DSYNC at first use; "none" where that is not possible. */
  #synced: number | "none" | undefined;

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
    return writeAll(this.#descriptor, bytes, position);
  }

  /** One change of threads instead of two. Linux reports a failed sync to each descriptor of the file, so also to #descriptor. */
  async writeSyncedAsync(bytes: Uint8Array, position: number): Promise<void> {
    this.#synced ??= this.#openSynced() ?? "none";
    if (this.#synced !== "none") return writeAll(this.#synced, bytes, position);
    await this.writeAsync(bytes, position);
    await syncFileAside(this);
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
    if (typeof this.#synced === "number") fs.closeSync(this.#synced);
    this.#synced = "none";
    fs.closeSync(this.#descriptor);
  }

  /** Opens the file of #descriptor again, which may have another path now. Undefined without /proc, or if no descriptor is left. */
  #openSynced(): number | undefined {
    if (syncedFlags === undefined) return undefined;
    let descriptor: number | undefined;
    try {
      descriptor = openRegular(`/proc/self/fd/${this.#descriptor}`, syncedFlags);
      if (isSameFile(descriptor, this.#descriptor)) return descriptor;
    } catch {
      // The two steps are always possible.
    }
    if (descriptor !== undefined) fs.closeSync(descriptor);
    return undefined;
  }
}

function writeAll(descriptor: number, bytes: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const step = (done: number): void => {
      fs.write(descriptor, bytes, done, bytes.length - done, position + done, (error, count) => {
        if (error !== null) reject(error);
        else if (done + count < bytes.length) step(done + count);
        else resolve();
      });
    };
    step(0);
  });
}

function isSameFile(one: number, other: number): boolean {
  const [left, right] = [fs.fstatSync(one, { bigint: true }), fs.fstatSync(other, { bigint: true })];
  return left.ino === right.ino && left.dev === right.dev;
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
