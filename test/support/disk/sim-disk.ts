/**
 * A disk in memory with the faults of real disks, drawn from a seed.
 *
 * A file has the content that a process sees (`seen`), the content that survives a power cut (`durable`), and the pending
 * operations between them. sync() applies them to the durable content. crash() decides for each pending operation whether
 * it is kept, dropped or torn. This includes created, renamed and removed names until syncDirectory().
 *
 *   disk.crash()                      power cut now: open files fail, this object is the disk after the restart
 *   disk.kill()                       the process ends, the machine does not: nothing is lost, open files fail
 *   disk.crashAfter(n)                the power is cut during the n-th changing operation from now
 *   disk.faults.syncFails             this many syncs fail; their data is seen but can never become durable, and the
 *                                     next sync succeeds (as PostgreSQL's "fsyncgate" of 2018)
 *   disk.faults.writeFails, readFails this many fail with EIO; a write can be short
 *   disk.capacityBytes                beyond it writes fail with ENOSPC, after a part
 *   disk.flipBit(path, bit)           flips a bit of the seen and the durable content
 *
 * The tests that enable a fault define how a log must handle it.
 */
import { basename, dirname } from "node:path";
import type { Disk, DiskFile, OpenMode } from "../../../src/lib/disk/disk.ts";
import type { Prng } from "../../../src/lib/prng.ts";
import { type Change, GrowingBytes } from "./growing-bytes.ts";

/** Thrown by the operation that a power cut interrupts, and by every file opened before. Not a Fault: the process ends. */
export class SimulatedCrash extends Error {
  override readonly name = "SimulatedCrash";
}

interface Pending {
  readonly change: Change;
  /** Lost in a failed sync: it can never become durable. */
  lost: boolean;
}
interface Inode {
  seen: GrowingBytes;
  durable: GrowingBytes;
  pending: Pending[];
}
type NameChange =
  | { readonly link: string; readonly inode: Inode }
  | { readonly unlink: string }
  | { readonly from: string; readonly to: string; readonly inode: Inode };
interface Directory {
  seen: Map<string, Inode>;
  durable: Map<string, Inode>;
  pending: NameChange[];
}

/** Probabilities at a power cut for each unsynced operation. */
export interface CrashOdds {
  readonly keep: number;
  /** Of the operations that are not kept: torn instead of dropped. */
  readonly tear: number;
}

export interface SimDiskOptions {
  readonly capacityBytes?: number;
  readonly odds?: CrashOdds;
  /** Awaited before an asynchronous operation takes effect. A simulator passes its scheduler. */
  readonly delay?: () => Promise<void>;
}

export interface DiskImage {
  readonly directories: readonly string[];
  readonly files: ReadonlyMap<string, Uint8Array>;
}

export class SimDisk implements Disk {
  readonly faults = { syncFails: 0, writeFails: 0, readFails: 0 };
  /** Number of operations of each kind. */
  readonly counts = { sync: 0, write: 0, read: 0, crash: 0 };
  capacityBytes: number;
  odds: CrashOdds;
  /** Selects the paths for readFails, writeFails and syncFails. Default: all. */
  faultyPath: (path: string) => boolean = () => true;
  /** Selects directories whose files are preallocated and do not count for the capacity. */
  allocated: (directory: string) => boolean = () => false;
  readonly #random: Prng;
  readonly #delay: () => Promise<void>;
  #directories = new Map<string, Directory>();
  #boot = 0;
  #countdown = Number.POSITIVE_INFINITY;

  constructor(random: Prng, options: SimDiskOptions = {}) {
    this.#random = random;
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
    this.odds = options.odds ?? { keep: 0.5, tear: 0.5 };
    this.#delay = options.delay ?? (() => Promise.resolve());
  }

  /** The n-th changing operation from now on is interrupted by a power cut (0: the next one). */
  crashAfter(operations: number): void {
    this.#countdown = operations;
  }

  /** Cuts the power: each unsynced change is kept, dropped or torn independently. */
  crash(): void {
    this.kill();
    this.counts.crash++;
    const visited = new Set<Inode>();
    for (const directory of this.#directories.values()) {
      for (const change of directory.pending) {
        if (this.#random.float() < this.odds.keep) renameIn(directory.durable, change);
      }
      for (const inode of [...directory.seen.values(), ...directory.durable.values()]) {
        if (!visited.has(inode)) this.#settle(inode);
        visited.add(inode);
      }
      directory.seen = new Map(directory.durable);
      directory.pending = [];
    }
  }

  /** Returns an image of the content that a process sees, including unsynced changes. */
  image(): DiskImage {
    const files = new Map<string, Uint8Array>();
    for (const [path, { seen }] of this.#directories) {
      for (const [name, inode] of seen) files.set(`${path}/${name}`, inode.seen.copy());
    }
    return { directories: [...this.#directories.keys()], files };
  }

  /** Replaces the content by an image. All of it is durable. No process may be running. */
  restoreImage({ directories, files }: DiskImage): void {
    this.#directories = new Map();
    for (const path of directories) this.makeDirectory(path);
    for (const [path, bytes] of files) {
      const [seen, durable] = [new GrowingBytes(), new GrowingBytes()];
      for (const one of [seen, durable]) one.apply({ position: 0, bytes });
      const inode: Inode = { seen, durable, pending: [] };
      const directory = this.#directory(path);
      directory.seen.set(basename(path), inode);
      directory.durable.set(basename(path), inode);
    }
  }

  /** Ends the process: its open files fail. Its writes stay seen, and unsynced ones stay unsynced. */
  kill(): void {
    this.#boot++;
    this.#countdown = Number.POSITIVE_INFINITY;
  }

  /** Counts another changing operation. If the power is cut in it, `apply` runs with probability 0.5. */
  operation(apply: () => void): void {
    this.#step(() => {
      if (this.#random.chance(0.5)) apply();
    });
  }

  /** Number of processes on this disk that have ended. */
  get ends(): number {
    return this.#boot;
  }

  /** Inverts one bit of a file, in the seen and the durable content. */
  flipBit(path: string, bit: number): void {
    const inode = this.#inode(path);
    inode.seen.flip(bit);
    inode.durable.flip(bit);
  }

  /** Returns the content of a file as a process sees it. */
  contents(path: string): Uint8Array {
    return this.#inode(path).seen.copy();
  }

  open(path: string, mode: OpenMode): DiskFile {
    const directory = this.#directory(path);
    const name = basename(path);
    let inode = directory.seen.get(name);
    if (mode === "create") {
      if (inode !== undefined) throw failure("EEXIST", path);
      this.#step();
      inode = { seen: new GrowingBytes(), durable: new GrowingBytes(), pending: [] };
      directory.seen.set(name, inode);
      directory.pending.push({ link: name, inode });
    }
    if (inode === undefined) throw failure("ENOENT", path);
    return this.#file(path, inode, mode !== "read");
  }

  exists(path: string): boolean {
    return (
      this.#directories.has(path) || this.#directories.get(dirname(path))?.seen.has(basename(path)) === true
    );
  }

  list(directory: string): string[] {
    const found = this.#directories.get(directory);
    if (found === undefined) throw failure("ENOENT", directory);
    const below = [...this.#directories.keys()].filter(
      (path) => dirname(path) === directory && path !== directory,
    );
    return [...found.seen.keys(), ...below.map((path) => basename(path))].sort();
  }

  /** Directories are durable immediately: the log creates them only once. */
  makeDirectory(directory: string): void {
    if (this.#directories.has(directory)) return;
    if (dirname(directory) !== directory) this.makeDirectory(dirname(directory));
    this.#directories.set(directory, { seen: new Map(), durable: new Map(), pending: [] });
  }

  rename(from: string, to: string): void {
    if (dirname(from) !== dirname(to)) throw failure("EXDEV", to);
    const inode = this.#inode(from);
    this.#step();
    const change = { from: basename(from), to: basename(to), inode };
    renameIn(this.#directory(from).seen, change);
    this.#directory(from).pending.push(change);
  }

  remove(path: string): void {
    this.#inode(path);
    this.#step();
    const change = { unlink: basename(path) };
    renameIn(this.#directory(path).seen, change);
    this.#directory(path).pending.push(change);
  }

  syncDirectory(directory: string): void {
    const found = this.#directories.get(directory);
    if (found === undefined) throw failure("ENOENT", directory);
    this.#step();
    found.durable = new Map(found.seen);
    found.pending = [];
  }

  freeBytes(_path: string): number {
    if (this.capacityBytes === Number.POSITIVE_INFINITY) return this.capacityBytes;
    return Math.max(0, this.capacityBytes - this.#used());
  }

  totalBytes(_path: string): number {
    return this.capacityBytes;
  }

  #used(): number {
    const inodes = new Set(
      [...this.#directories].flatMap(([path, { seen }]) => (this.allocated(path) ? [] : [...seen.values()])),
    );
    let used = 0;
    for (const inode of inodes) used += inode.seen.length;
    return used;
  }

  #file(path: string, inode: Inode, writable: boolean): DiskFile {
    const boot = this.#boot;
    const assertOpen = (): void => {
      if (boot !== this.#boot) throw new SimulatedCrash(`${path} was opened before the power cut or kill`);
    };
    const write = (bytes: Uint8Array, position: number): void => {
      assertOpen();
      if (!writable) throw failure("EBADF", path);
      this.#write(path, inode, bytes, position);
    };
    const sync = (): void => {
      assertOpen();
      this.#sync(path, inode);
    };
    return {
      path,
      size() {
        assertOpen();
        return inode.seen.length;
      },
      read: (target, position) => {
        assertOpen();
        this.counts.read++;
        if (this.#fails("readFails", path)) throw failure("EIO", path);
        return inode.seen.read(target, position);
      },
      write,
      writeAsync: async (bytes, position) => {
        await this.#delay();
        write(bytes, position);
      },
      writeSyncedAsync: async (bytes, position) => {
        await this.#delay();
        const before = inode.pending.length;
        write(bytes, position);
        this.#sync(path, inode, before);
      },
      sync,
      syncAsync: async () => {
        await this.#delay();
        sync();
      },
      truncate: (size) => {
        assertOpen();
        this.#step();
        this.#apply(inode, { truncate: size });
      },
      preallocate: (size) => {
        const missing = size - inode.seen.length;
        if (missing > 0) write(new Uint8Array(missing), inode.seen.length);
      },
      close: () => {},
    };
  }

  #write(path: string, inode: Inode, bytes: Uint8Array, position: number): void {
    this.counts.write++;
    const free = this.allocated(dirname(path)) ? Number.POSITIVE_INFINITY : this.freeBytes(path);
    const available = free + inode.seen.length - position;
    const fails = this.#fails("writeFails", path);
    if (fails || bytes.length > available) {
      const part = fails ? this.#random.between(0, bytes.length) : Math.max(0, Math.floor(available));
      if (part > 0) this.#apply(inode, { position, bytes: bytes.slice(0, part) });
      throw failure(fails ? "EIO" : "ENOSPC", path);
    }
    this.#step(() => this.#apply(inode, { position, bytes: bytes.slice() }));
    this.#apply(inode, { position, bytes: bytes.slice() });
  }

  /** Syncs the pending operations from this one on. */
  #sync(path: string, inode: Inode, from = 0): void {
    this.counts.sync++;
    this.#step();
    const synced = inode.pending.slice(from);
    if (this.#fails("syncFails", path)) {
      for (const pending of synced) if (!pending.lost) pending.lost = this.#random.chance(0.7);
      throw failure("EIO", path);
    }
    for (const { change, lost } of synced) if (!lost) inode.durable.apply(change);
    inode.pending = [...inode.pending.slice(0, from), ...synced.filter(({ lost }) => lost)];
  }

  #apply(inode: Inode, change: Change): void {
    inode.seen.apply(change);
    inode.pending.push({ change, lost: false });
  }

  /** Counts a changing operation. `before` applies what the power cut may interrupt. */
  #step(before: () => void = () => {}): void {
    if (this.#countdown-- > 0) return;
    before();
    this.crash();
    throw new SimulatedCrash("power cut");
  }

  #fails(kind: keyof SimDisk["faults"], path: string): boolean {
    if (this.faults[kind] === 0 || !this.faultyPath(path)) return false;
    this.faults[kind]--;
    return true;
  }

  #settle(inode: Inode): void {
    for (const { change, lost } of inode.pending) {
      const draw = this.#random.float();
      if (lost || draw >= this.odds.keep + (1 - this.odds.keep) * this.odds.tear) continue;
      if (draw < this.odds.keep || "truncate" in change) inode.durable.apply(change);
      else for (const part of this.#torn(change.position, change.bytes)) inode.durable.apply(part);
    }
    inode.pending = [];
    inode.seen = inode.durable.clone();
  }

  /** Returns a part of a write: a prefix, a suffix, or some of its 512-byte sectors. */
  #torn(position: number, bytes: Uint8Array): Change[] {
    const cut = this.#random.between(0, bytes.length);
    switch (this.#random.between(0, 2)) {
      case 0:
        return [{ position, bytes: bytes.subarray(0, cut) }];
      case 1:
        return [{ position: position + cut, bytes: bytes.subarray(cut) }];
      default: {
        const sectors: Change[] = [];
        for (let at = 0; at < bytes.length; ) {
          const next = Math.min(bytes.length, at + 512 - ((position + at) % 512));
          if (this.#random.chance(0.5))
            sectors.push({ position: position + at, bytes: bytes.subarray(at, next) });
          at = next;
        }
        return sectors;
      }
    }
  }

  #directory(path: string): Directory {
    const found = this.#directories.get(dirname(path));
    if (found === undefined) throw failure("ENOENT", dirname(path));
    return found;
  }

  #inode(path: string): Inode {
    const found = this.#directory(path).seen.get(basename(path));
    if (found === undefined) throw failure("ENOENT", path);
    return found;
  }
}

function renameIn(names: Map<string, Inode>, change: NameChange): void {
  if ("link" in change) names.set(change.link, change.inode);
  else if ("unlink" in change) names.delete(change.unlink);
  else {
    names.delete(change.from);
    names.set(change.to, change.inode);
  }
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}, ${path}`), { code });
}
