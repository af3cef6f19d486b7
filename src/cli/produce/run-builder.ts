/**
 * Collects values as one run of records, which all have the same key and headers. Pure.
 *
 *   run     := element…                 the content of ProduceBatchRequest
 *   element := 0x0a  length  [0x0a  length  value]  suffix
 *   suffix  := the fields key and headers of a Record, the same for all
 *
 * A record costs one copy of its value and no object.
 */
import { encodeRun } from "../../client/record-codec.ts";
import { delimitedEnd, varintBytes, varintEnd, writeVarint } from "../../lib/bytes.ts";
import type { RecordRun } from "../../types.ts";

/** What all records share. */
export interface RecordTemplate {
  readonly key?: string;
  readonly headers: readonly { readonly key: string; readonly value: Uint8Array }[];
}

export interface RunLimits {
  /** Records of one run. */
  readonly recordsMax: number;
  /** A run is not made larger than this, in bytes, except by its first record. */
  readonly bytesMax: number;
}

const recordTag = 0x0a;
const valueTag = 0x0a;
const firstBytes = 64 * 1024;
/** Shorter values are copied in a loop, which costs less than a call into the engine. */
const loopBytesMax = 48;

export class RunBuilder {
  readonly #suffix: Uint8Array;
  readonly #limits: RunLimits;
  #bytes: Uint8Array = new Uint8Array(firstBytes);
  #used = 0;
  #count = 0;

  /** @throws Fault "bad-record" for a key or a header that no record can have */
  constructor({ key, headers }: RecordTemplate, limits: RunLimits) {
    const { bytes } = encodeRun([{ headers, ...(key === undefined ? {} : { key }) }]);
    this.#suffix = bytes.slice(varintEnd(bytes, 1, bytes.length));
    this.#limits = limits;
  }

  get count(): number {
    return this.#count;
  }

  /** Whether a value of so many bytes can be added. An empty run takes every value. */
  fits(valueBytes: number): boolean {
    const { recordsMax, bytesMax } = this.#limits;
    return (
      this.#count === 0 ||
      (this.#count < recordsMax && this.#used + elementBytes(this.#bodyBytes(valueBytes)) <= bytesMax)
    );
  }

  /** Adds a record with this value, which is copied. */
  add(value: Uint8Array): void {
    const body = this.#bodyBytes(value.length);
    this.#reserve(elementBytes(body));
    const bytes = this.#bytes;
    bytes[this.#used] = recordTag;
    let at = writeVarint(bytes, this.#used + 1, body);
    if (value.length > 0) {
      bytes[at] = valueTag;
      at = copy(bytes, writeVarint(bytes, at + 1, value.length), value);
    }
    this.#used = this.#suffix.length === 0 ? at : copy(bytes, at, this.#suffix);
    this.#count++;
  }

  /** Returns the records as a run with memory of its own, and starts an empty one. */
  take(): RecordRun {
    const run = { bytes: this.#bytes.slice(0, this.#used), count: this.#count };
    this.#used = 0;
    this.#count = 0;
    if (this.#bytes.length > 4 * this.#limits.bytesMax) this.#bytes = new Uint8Array(firstBytes);
    return run;
  }

  #bodyBytes(valueBytes: number): number {
    return (valueBytes === 0 ? 0 : 1 + varintBytes(valueBytes) + valueBytes) + this.#suffix.length;
  }

  #reserve(more: number): void {
    const needed = this.#used + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = grown;
  }
}

const elementBytes = (body: number): number => 1 + varintBytes(body) + body;

/** Copies `from` to position `at`. Returns the position after it. */
function copy(to: Uint8Array, at: number, from: Uint8Array): number {
  if (from.length > loopBytesMax) to.set(from, at);
  else for (let index = 0; index < from.length; index++) to[at + index] = from[index]!;
  return at + from.length;
}

/** Returns the run as two runs of about the same number of records, in order. The run has at least two records. */
export function halvesOf({ bytes, count }: RecordRun): readonly [RecordRun, RecordRun] {
  const half = count >>> 1;
  let at = 0;
  for (let record = 0; record < half; record++) at = delimitedEnd(bytes, at + 1, bytes.length);
  return [
    { bytes: bytes.subarray(0, at), count: half },
    { bytes: bytes.subarray(at), count: count - half },
  ];
}
