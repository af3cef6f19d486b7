/**
 * The bytes of several objects in order, while the ranges behind them are fetched.
 *
 *   file 1: range range range   file 2: range range …        at most four of 8 MiB are fetched, or fetched and not read
 */
import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import type { ObjectStore } from "../../objects/mod.ts";
import type { BackupFile } from "../../replication/mod.ts";
import { keyOfFile } from "./backup-keys.ts";

const rangeBytes = 8 * 1024 * 1024;
const rangesMax = 4;

interface Range {
  readonly file: string;
  readonly position: number;
  readonly bytes: number;
}

export class FetchedRanges {
  readonly #store: ObjectStore;
  readonly #ranges: Iterator<Range>;
  /** In order. */
  readonly #ahead: (Range & { readonly data: Promise<Uint8Array> })[] = [];

  constructor(store: ObjectStore, files: readonly Pick<BackupFile, "file" | "bytes">[]) {
    this.#store = store;
    this.#ranges = rangesOf(files);
  }

  /**
   * Yields the bytes of the next file, which must be `file`. They end early if the object is shorter.
   * @throws Fault "corrupt" if there is no such object
   */
  async *next(file: string): AsyncGenerator<Uint8Array> {
    this.#fetch();
    assert(this.#ahead[0]?.file === file && this.#ahead[0].position === 0, "files are read in order");
    while (this.#ahead[0]?.file === file) {
      const { data, bytes } = this.#ahead[0];
      const found = await data;
      this.#ahead.shift();
      this.#fetch();
      yield found;
      if (found.length < bytes) return;
    }
  }

  /** Resolves when no request runs any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#ahead.map(({ data }) => data));
  }

  #fetch(): void {
    while (this.#ahead.length < rangesMax) {
      const { value, done } = this.#ranges.next();
      if (done === true) return;
      const data = this.#read(value);
      // It is thrown where the range is read.
      data.catch(() => undefined);
      this.#ahead.push({ ...value, data });
    }
  }

  async #read({ file, position, bytes }: Range): Promise<Uint8Array> {
    const found = await this.#store.read(keyOfFile(file), position, bytes);
    if (found !== undefined) return found;
    throw new Fault("corrupt", { message: `the backup has no file ${file}`, facts: { file } });
  }
}

function* rangesOf(files: readonly Pick<BackupFile, "file" | "bytes">[]): Generator<Range, void, undefined> {
  for (const { file, bytes } of files)
    for (let position = 0; position < bytes; position += rangeBytes)
      yield { file, position, bytes: Math.min(rangeBytes, bytes - position) };
}
