/**
 * A disk that forwards to another one and fails the operations that a test selects, with its error code.
 */
import { certain, type Disk, type DiskFile } from "../../../src/lib/disk/disk.ts";

export type DiskOperation =
  | "open"
  | "read"
  | "write"
  | "sync"
  | "truncate"
  | "rename"
  | "remove"
  | "open-directory"
  | "sync-directory";

/** Returns the error code to fail with, or undefined to forward the operation. */
export type Refuse = (operation: DiskOperation, path: string) => string | undefined;

const syscalls: Readonly<Record<DiskOperation, string>> = {
  open: "open",
  read: "read",
  write: "write",
  sync: "fdatasync",
  truncate: "ftruncate",
  rename: "rename",
  remove: "unlink",
  "open-directory": "open",
  "sync-directory": "fsync",
};

export class RefusingDisk implements Disk {
  refuse: Refuse = () => undefined;
  /** The refused operations, in order. */
  readonly refused: { readonly operation: DiskOperation; readonly path: string }[] = [];
  readonly #disk: Disk;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  open(path: string, mode: Parameters<Disk["open"]>[1]): DiskFile {
    this.#check("open", path);
    const file = this.#disk.open(path, mode);
    return {
      path: file.path,
      size: () => file.size(),
      read: (target, position) => {
        this.#check("read", path);
        return file.read(target, position);
      },
      write: (bytes, position) => {
        this.#check("write", path);
        file.write(bytes, position);
      },
      writeAsync: async (bytes, position) => {
        this.#check("write", path);
        await file.writeAsync(bytes, position);
      },
      writeSyncedAsync: async (bytes, position) => {
        this.#check("write", path);
        certain(() => this.#check("sync", path));
        await file.writeSyncedAsync(bytes, position);
      },
      sync: () => {
        this.#check("sync", path);
        file.sync();
      },
      syncAsync: async () => {
        this.#check("sync", path);
        await file.syncAsync();
      },
      truncate: (bytes) => {
        this.#check("truncate", path);
        file.truncate(bytes);
      },
      preallocate: (bytes) => file.preallocate(bytes),
      close: () => file.close(),
    };
  }

  exists(path: string): boolean {
    return this.#disk.exists(path);
  }

  list(directory: string): string[] {
    return this.#disk.list(directory);
  }

  makeDirectory(directory: string): void {
    this.#disk.makeDirectory(directory);
  }

  rename(from: string, to: string): void {
    this.#check("rename", to);
    this.#disk.rename(from, to);
  }

  remove(path: string): void {
    this.#check("remove", path);
    this.#disk.remove(path);
  }

  syncDirectory(directory: string): void {
    this.#check("open-directory", directory);
    this.#check("sync-directory", directory);
    this.#disk.syncDirectory(directory);
  }

  freeBytes(path: string): number {
    return this.#disk.freeBytes(path);
  }

  totalBytes(path: string): number {
    return this.#disk.totalBytes(path);
  }

  #check(operation: DiskOperation, path: string): void {
    const code = this.refuse(operation, path);
    if (code === undefined) return;
    this.refused.push({ operation, path });
    throw Object.assign(new Error(`${code}, ${operation} ${path}`), { code, syscall: syscalls[operation] });
  }
}
