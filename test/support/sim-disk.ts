/**
 * A disk in memory that fails as disks do, from one seed.
 *
 * Every file has what a process sees (`seen`), what a power cut cannot take (`durable`), and the operations in
 * between. sync() moves the latter over. crash() decides for each of them by itself whether it is kept, dropped or
 * torn: bytes at any position, and the creation, renaming and removal of names until syncDirectory().
 *
 *   disk.crash()                      power cut now: open files are dead, the same object is the disk after reboot
 *   disk.kill()                       the process dies, the machine does not: nothing is lost, open files are dead
 *   disk.crashAfter(n)                the n-th changing operation from now is a power cut in its middle
 *   disk.faults.syncFails             this many syncs fail; what they should have made durable is lost for good,
 *                                     though still seen, and the next sync says all is well (the fsync-gate)
 *   disk.faults.writeFails, readFails this many fail with EIO; a write may leave any part of itself (short write)
 *   disk.capacityBytes                beyond it writes fail with ENOSPC, in part done
 *   disk.flipBit(path, bit)           bit rot, in what is seen and in what is durable
 *
 * Which faults a log must survive is said by the tests that switch them on.
 */
import { basename, dirname } from "node:path";
import type { Disk, DiskFile, OpenMode } from "../../src/lib/disk/disk.ts";
import type { Prng } from "../../src/lib/prng.ts";

/** Thrown at the operation that a power cut interrupts, and by every dead file. Never a Fault: nobody survives it. */
export class SimulatedCrash extends Error {
  override readonly name = "SimulatedCrash";
}

type Change = { readonly position: number; readonly bytes: Uint8Array } | { readonly truncate: number };
interface Pending {
  readonly change: Change;
  /** A failed sync has forgotten it: it will never be durable. */
  lost: boolean;
}
interface Inode {
  seen: Bytes;
  durable: Bytes;
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

/** What may go wrong at a power cut, as probabilities for each unsynced operation. They add up to at most 1. */
export interface CrashOdds {
  readonly keep: number;
  /** Of those not kept: torn rather than dropped. */
  readonly tear: number;
}

export interface SimDiskOptions {
  readonly capacityBytes?: number;
  readonly odds?: CrashOdds;
  /** Awaited before an asynchronous operation takes effect: a simulator puts its scheduler here. */
  readonly delay?: () => Promise<void>;
}

export interface DiskImage {
  readonly directories: readonly string[];
  readonly files: ReadonlyMap<string, Uint8Array>;
}

export class SimDisk implements Disk {
  readonly faults = { syncFails: 0, writeFails: 0, readFails: 0 };
  /** How often each operation took place. */
  readonly counts = { sync: 0, write: 0, read: 0, crash: 0 };
  capacityBytes: number;
  odds: CrashOdds;
  /** Paths that readFails, writeFails and syncFails are meant for; all by default. */
  faultyPath: (path: string) => boolean = () => true;
  /** Directories whose files have their room in advance, and need none of the capacity. */
  allocated: (directory: string) => boolean = () => false;
  readonly #chance: Prng;
  readonly #delay: () => Promise<void>;
  #directories = new Map<string, Directory>();
  #boot = 0;
  #countdown = Number.POSITIVE_INFINITY;

  constructor(chance: Prng, options: SimDiskOptions = {}) {
    this.#chance = chance;
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
    this.odds = options.odds ?? { keep: 0.5, tear: 0.5 };
    this.#delay = options.delay ?? (() => Promise.resolve());
  }

  /** The n-th changing operation from now on is interrupted by a power cut (0: the next one). */
  crashAfter(operations: number): void {
    this.#countdown = operations;
  }

  /** Power cut: what was not synced is kept, dropped or torn, each change by itself. */
  crash(): void {
    this.kill();
    this.counts.crash++;
    const settled = new Set<Inode>();
    for (const directory of this.#directories.values()) {
      for (const change of directory.pending) {
        if (this.#chance.float() < this.odds.keep) renameIn(directory.durable, change);
      }
      for (const inode of [...directory.seen.values(), ...directory.durable.values()]) {
        if (!settled.has(inode)) this.#settle(inode);
        settled.add(inode);
      }
      directory.seen = new Map(directory.durable);
      directory.pending = [];
    }
  }

  /** All that a process sees now, as a disk image: what is not synced is in it. */
  image(): DiskImage {
    const files = new Map<string, Uint8Array>();
    for (const [path, { seen }] of this.#directories) {
      for (const [name, inode] of seen) files.set(`${path}/${name}`, inode.seen.copy());
    }
    return { directories: [...this.#directories.keys()], files };
  }

  /** Puts an image in the place of everything; all of it is durable. No process may run. */
  restoreImage({ directories, files }: DiskImage): void {
    this.#directories = new Map();
    for (const path of directories) this.makeDirectory(path);
    for (const [path, bytes] of files) {
      const [seen, durable] = [new Bytes(), new Bytes()];
      for (const one of [seen, durable]) one.apply({ position: 0, bytes });
      const inode: Inode = { seen, durable, pending: [] };
      const directory = this.#directory(path);
      directory.seen.set(basename(path), inode);
      directory.durable.set(basename(path), inode);
    }
  }

  /** The process dies: files it had open are dead, all it wrote stays seen and stays unsynced. */
  kill(): void {
    this.#boot++;
    this.#countdown = Number.POSITIVE_INFINITY;
  }

  /** Counts something else as a changing operation; `apply` is run or not when the power goes in it. */
  operation(apply: () => void): void {
    this.#step(() => {
      if (this.#chance.chance(0.5)) apply();
    });
  }

  /** How often a process that used this disk has ended. */
  get ends(): number {
    return this.#boot;
  }

  /** Inverts one bit of a file, as seen and as durable. */
  flipBit(path: string, bit: number): void {
    const inode = this.#inode(path);
    inode.seen.flip(bit);
    inode.durable.flip(bit);
  }

  /** A file's bytes as a process sees them. */
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
      inode = { seen: new Bytes(), durable: new Bytes(), pending: [] };
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

  /** Directories are durable at once: the rooms make them once in a life. */
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
    const alive = (): void => {
      if (boot !== this.#boot) throw new SimulatedCrash(`${path} was open when the power went`);
    };
    const write = (bytes: Uint8Array, position: number): void => {
      alive();
      if (!writable) throw failure("EBADF", path);
      this.#write(path, inode, bytes, position);
    };
    const sync = (): void => {
      alive();
      this.#sync(path, inode);
    };
    return {
      path,
      size() {
        alive();
        return inode.seen.length;
      },
      read: (target, position) => {
        alive();
        this.counts.read++;
        if (this.#fails("readFails", path)) throw failure("EIO", path);
        return inode.seen.read(target, position);
      },
      write,
      writeAsync: async (bytes, position) => {
        await this.#delay();
        write(bytes, position);
      },
      sync,
      syncAsync: async () => {
        await this.#delay();
        sync();
      },
      truncate: (size) => {
        alive();
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
    const room = free + inode.seen.length - position;
    const fails = this.#fails("writeFails", path);
    if (fails || bytes.length > room) {
      const part = fails ? this.#chance.between(0, bytes.length) : Math.max(0, Math.floor(room));
      if (part > 0) this.#apply(inode, { position, bytes: bytes.slice(0, part) });
      throw failure(fails ? "EIO" : "ENOSPC", path);
    }
    this.#step(() => this.#apply(inode, { position, bytes: bytes.slice() }));
    this.#apply(inode, { position, bytes: bytes.slice() });
  }

  #sync(path: string, inode: Inode): void {
    this.counts.sync++;
    this.#step();
    if (this.#fails("syncFails", path)) {
      for (const pending of inode.pending) if (!pending.lost) pending.lost = this.#chance.chance(0.7);
      throw failure("EIO", path);
    }
    for (const { change, lost } of inode.pending) if (!lost) inode.durable.apply(change);
    inode.pending = inode.pending.filter(({ lost }) => lost);
  }

  #apply(inode: Inode, change: Change): void {
    inode.seen.apply(change);
    inode.pending.push({ change, lost: false });
  }

  /** Counts a changing operation; `before` is what of it may be under way when the power goes. */
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
      const luck = this.#chance.float();
      if (lost || luck >= this.odds.keep + (1 - this.odds.keep) * this.odds.tear) continue;
      if (luck < this.odds.keep || "truncate" in change) inode.durable.apply(change);
      else for (const part of this.#torn(change.position, change.bytes)) inode.durable.apply(part);
    }
    inode.pending = [];
    inode.seen = inode.durable.clone();
  }

  /** A write that reached the disk in part: up to any byte, from any byte, or in some of its 512-byte sectors. */
  #torn(position: number, bytes: Uint8Array): Change[] {
    const cut = this.#chance.between(0, bytes.length);
    switch (this.#chance.between(0, 2)) {
      case 0:
        return [{ position, bytes: bytes.subarray(0, cut) }];
      case 1:
        return [{ position: position + cut, bytes: bytes.subarray(cut) }];
      default: {
        const sectors: Change[] = [];
        for (let at = 0; at < bytes.length; ) {
          const next = Math.min(bytes.length, at + 512 - ((position + at) % 512));
          if (this.#chance.chance(0.5))
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

/** A growing byte array; what was never written reads as zero. */
class Bytes {
  length = 0;
  #room = new Uint8Array(0);

  apply(change: Change): void {
    if ("truncate" in change) this.#resize(change.truncate);
    else if (change.bytes.length > 0) {
      this.#resize(Math.max(this.length, change.position + change.bytes.length));
      this.#room.set(change.bytes, change.position);
    }
  }

  read(target: Uint8Array, position: number): number {
    const part = this.#room.subarray(position, Math.min(this.length, position + target.length));
    target.set(part);
    return part.length;
  }

  flip(bit: number): void {
    if (bit >> 3 < this.length) this.#room[bit >> 3]! ^= 1 << (bit & 7);
  }

  copy(): Uint8Array {
    return this.#room.slice(0, this.length);
  }

  clone(): Bytes {
    const twin = new Bytes();
    twin.apply({ position: 0, bytes: this.copy() });
    return twin;
  }

  #resize(length: number): void {
    if (length < this.length) this.#room.fill(0, length, this.length);
    if (length > this.#room.length) {
      const room = new Uint8Array(Math.max(length, this.#room.length * 2, 256));
      room.set(this.#room);
      this.#room = room;
    }
    this.length = length;
  }
}
