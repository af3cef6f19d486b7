/**
 * Where a read stops: after so many records or bytes, or before an offset. Both lanes and /tail count with it. Pure.
 *
 * Never: reads.
 */
import { Fault } from "../../fault.ts";
import { delimitedEnd, varintEnd } from "../../lib/bytes.ts";
import type { Offset } from "../../types.ts";

export interface ReadLimits {
  /** 0 is no limit. */
  readonly recordsMax: number;
  /** Of key, value and headers; 0 is no limit. The first record is always within it. */
  readonly bytesMax: number;
  /** The first offset not to read. */
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

  /**
   * Counts the stored record at `start … end` and answers true, or answers false when it, and all behind it, are
   * beyond the limits.
   */
  take(bytes: Uint8Array, start: number, end: number, offset: Offset): boolean {
    const { recordsMax, bytesMax, endOffset } = this.#limits;
    if (endOffset !== undefined && offset >= endOffset) return false;
    if (recordsMax !== 0 && this.#records >= recordsMax) return false;
    if (bytesMax !== 0) {
      this.#bytes += contentBytes(bytes, start, end);
      if (this.#records > 0 && this.#bytes > bytesMax) return false;
    }
    this.#records++;
    return true;
  }

  /** True when count or bytes are used up, so that there is no need to wait for another record. */
  get isSpent(): boolean {
    const { recordsMax, bytesMax } = this.#limits;
    return (
      (recordsMax !== 0 && this.#records >= recordsMax) ||
      (bytesMax !== 0 && this.#bytes >= bytesMax && this.#records > 0)
    );
  }
}

/** Bytes of key, value, header names and header values in a stored record, without tags and lengths. Throws Fault "corrupt". */
export function contentBytes(bytes: Uint8Array, start: number, end: number): number {
  let total = 0;
  for (let at = start; at < end; ) {
    const body = varintEnd(bytes, at + 1, end);
    const next = delimitedEnd(bytes, at + 1, end);
    if (next < 0) throw new Fault("corrupt", { message: "a field of a record passes its end" });
    total += bytes[at] === headersTag ? contentBytes(bytes, body, next) : next - body;
    at = next;
  }
  return total;
}

/** Field 6 of a record; inside a header the fields are 1 and 2, so one function serves both. */
const headersTag = 0x32;
