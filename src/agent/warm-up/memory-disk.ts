/** A disk in memory for the warm-up. It loses everything at the end of the process, so sync() has nothing to do. */
import { basename, dirname } from "node:path";
import type { Disk, DiskFile, OpenMode } from "../../lib/disk/disk.ts";

interface Content {
  bytes: Buffer;
  size: number;
}

/** Files grow by doubling. The warm-up writes a few MiB. */
const firstBytes = 64 * 1024;
const diskBytes = 2 ** 30;

class MemoryFile implements DiskFile {
  readonly path: string;
  readonly #content: Content;

  constructor(path: string, content: Content) {
    this.path = path;
    this.#content = content;
  }

  size(): number {
    return this.#content.size;
  }

  read(target: Uint8Array, position: number): number {
    const { bytes, size } = this.#content;
    const part = bytes.subarray(position, Math.min(size, position + target.length));
    target.set(part);
    return part.length;
  }

  write(bytes: Uint8Array, position: number): void {
    this.#grow(position + bytes.length);
    this.#content.bytes.set(bytes, position);
  }

  async writeAsync(bytes: Uint8Array, position: number): Promise<void> {
    this.write(bytes, position);
  }

  async writeSyncedAsync(bytes: Uint8Array, position: number): Promise<void> {
    this.write(bytes, position);
  }

  sync(): void {}

  async syncAsync(): Promise<void> {}

  truncate(bytes: number): void {
    this.#content.bytes.fill(0, bytes, this.#content.size);
    this.#content.size = Math.min(this.#content.size, bytes);
  }

  preallocate(bytes: number): void {
    this.#grow(bytes);
  }

  close(): void {}

  #grow(size: number): void {
    const content = this.#content;
    if (size <= content.size) return;
    if (size > content.bytes.length) {
      const larger = Buffer.alloc(Math.max(firstBytes, 2 ** Math.ceil(Math.log2(size))));
      larger.set(content.bytes);
      content.bytes = larger;
    }
    content.size = size;
  }
}

export class MemoryDisk implements Disk {
  readonly #files = new Map<string, Content>();
  readonly #directories = new Set<string>();

  open(path: string, mode: OpenMode): DiskFile {
    if (mode === "create") {
      if (this.#files.has(path)) throw systemError("EEXIST", path);
      this.#files.set(path, { bytes: Buffer.alloc(0), size: 0 });
    }
    return new MemoryFile(path, this.#contentOf(path));
  }

  exists(path: string): boolean {
    return this.#files.has(path) || this.#directories.has(path);
  }

  list(directory: string): string[] {
    if (!this.#directories.has(directory)) throw systemError("ENOENT", directory);
    return [...this.#files.keys(), ...this.#directories]
      .filter((path) => dirname(path) === directory)
      .map((path) => basename(path))
      .sort();
  }

  makeDirectory(directory: string): void {
    for (let at = directory; !this.#directories.has(at); at = dirname(at)) this.#directories.add(at);
  }

  rename(from: string, to: string): void {
    this.#files.set(to, this.#contentOf(from));
    this.#files.delete(from);
  }

  remove(path: string): void {
    this.#contentOf(path);
    this.#files.delete(path);
  }

  syncDirectory(): void {}

  freeBytes(): number {
    return diskBytes;
  }

  totalBytes(): number {
    return diskBytes;
  }

  #contentOf(path: string): Content {
    const content = this.#files.get(path);
    if (content === undefined) throw systemError("ENOENT", path);
    return content;
  }
}

const systemError = (code: string, path: string): Error =>
  Object.assign(new Error(`${code}: ${path}`), { code });
