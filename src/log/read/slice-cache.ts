/**
 * A cache of checked slices by the offset that was asked for. It is limited in bytes, and drops the least recently used.
 */
import type { BatchSlice, Offset } from "../../types.ts";

/** Counted for each slice besides its frames. */
const overheadBytes = 256;

export class SliceCache {
  readonly #bytesMax: number;
  #bytes = 0;
  readonly #slices = new Map<Offset, BatchSlice>();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get(offset: Offset): BatchSlice | undefined {
    const found = this.#slices.get(offset);
    if (found === undefined) return undefined;
    this.#slices.delete(offset);
    this.#slices.set(offset, found);
    return found;
  }

  put(offset: Offset, slice: BatchSlice): void {
    const before = this.#slices.get(offset);
    if (before !== undefined) this.#drop(offset, before);
    this.#slices.set(offset, slice);
    this.#bytes += slice.frames.length + overheadBytes;
    for (const [oldest, dropped] of this.#slices) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#drop(oldest, dropped);
    }
  }

  clear(): void {
    if (this.#slices.size === 0) return;
    this.#slices.clear();
    this.#bytes = 0;
  }

  #drop(offset: Offset, slice: BatchSlice): void {
    this.#slices.delete(offset);
    this.#bytes -= slice.frames.length + overheadBytes;
  }
}
