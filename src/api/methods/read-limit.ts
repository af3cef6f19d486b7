/** Decides where a read stops: after a number of records or bytes, or before an offset. All protocols use it. */
import { recordContentBytes } from "../../log/mod.ts";
import type { Offset } from "../../types.ts";

export interface ReadLimits {
  /** 0: no limit. */
  readonly recordsMax: number;
  /** Bytes of keys, values and headers; 0: no limit. The first record is always within it. */
  readonly bytesMax: number;
  /** The first offset that is not read. Undefined: no limit. */
  readonly endOffset: Offset | undefined;
}

export const noLimits: ReadLimits = { recordsMax: 0, bytesMax: 0, endOffset: undefined };

export class ReadLimit {
  readonly #limits: ReadLimits;
  #records = 0;
  #bytes = 0;

  constructor(limits: ReadLimits) {
    this.#limits = limits;
  }

  /** Counts the stored record `bytes[start … end)`. Returns false if it and all records after it are beyond the limits. */
  take(bytes: Uint8Array, start: number, end: number, offset: Offset): boolean {
    const { recordsMax, bytesMax, endOffset } = this.#limits;
    if (endOffset !== undefined && offset >= endOffset) return false;
    if (recordsMax !== 0 && this.#records >= recordsMax) return false;
    if (bytesMax !== 0) {
      this.#bytes += recordContentBytes(bytes, start, end);
      if (this.#records > 0 && this.#bytes > bytesMax) return false;
    }
    this.#records++;
    return true;
  }

  /** True if the limit of records or bytes is reached: no further record can follow. */
  get isSpent(): boolean {
    const { recordsMax, bytesMax } = this.#limits;
    return (
      (recordsMax !== 0 && this.#records >= recordsMax) ||
      (bytesMax !== 0 && this.#bytes >= bytesMax && this.#records > 0)
    );
  }
}
