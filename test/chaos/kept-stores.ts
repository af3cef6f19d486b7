/**
 * Keeps the store files of running nodes by hard links, so that batches are known which the nodes settle later. A node replaces
 * a file when it settles it; the link keeps the old one.
 */
import { linkSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { batchKind, frameCrc, frameIndex, frameKind, frameLogId } from "../../src/log/mod.ts";
import { framesIn } from "./named/committed-logs.ts";

const everyMs = 200;

interface KeptFrame {
  readonly crc: number;
  readonly file: string;
  /** Its place among the frames of the file. */
  readonly ordinal: number;
}

export class KeptStores implements Disposable {
  readonly #directory: string;
  /** The data directories, on the file system of `directory`. */
  readonly #sources: () => readonly string[];
  readonly #linked = new Set<number>();
  readonly #files: string[] = [];
  readonly #timer: NodeJS.Timeout;
  #frames: Map<number, KeptFrame[]> | undefined;
  /** The file that was read last. */
  #read: { readonly file: string; readonly frames: readonly Buffer[] } | undefined;

  constructor(directory: string, sources: () => readonly string[]) {
    mkdirSync(directory, { recursive: true });
    this.#directory = directory;
    this.#sources = sources;
    this.#timer = setInterval(() => this.#link(), everyMs);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** The batch of a named log with a Raft index and a checksum. The nodes have ended. */
  find(index: number, crc: number): Buffer | undefined {
    this.#frames ??= this.#readAll();
    const found = this.#frames.get(index)?.find((frame) => frame.crc === crc);
    if (found === undefined) return undefined;
    if (this.#read?.file !== found.file) this.#read = { file: found.file, frames: [...framesIn(found.file)] };
    return this.#read.frames[found.ordinal];
  }

  /** Files come and go meanwhile. The last file of a directory is still written, and is not settled. */
  #link(): void {
    for (const source of this.#sources()) {
      for (const name of storesIn(join(source, "log")).slice(0, -1)) {
        const path = join(source, "log", name);
        const inode = statSync(path, { throwIfNoEntry: false })?.ino;
        if (inode === undefined || this.#linked.has(inode)) continue;
        const kept = join(this.#directory, `${this.#files.length}.store`);
        try {
          linkSync(path, kept);
        } catch {
          continue;
        }
        this.#linked.add(statSync(kept).ino);
        this.#files.push(kept);
      }
    }
  }

  #readAll(): Map<number, KeptFrame[]> {
    const frames = new Map<number, KeptFrame[]>();
    for (const file of this.#files) {
      for (const [ordinal, frame] of [...framesIn(file)].entries()) {
        if (frameKind(frame, 0) !== batchKind.data || frameLogId(frame, 0) === 0) continue;
        const [index, crc] = [frameIndex(frame, 0), frameCrc(frame, 0)];
        const known = frames.get(index) ?? [];
        if (!known.some((one) => one.crc === crc)) known.push({ crc, file, ordinal });
        frames.set(index, known);
      }
    }
    return frames;
  }
}

function storesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith(".store"))
      .sort();
  } catch {
    return [];
  }
}
