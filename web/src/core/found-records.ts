/**
 * The records that a search has found: the first ones, up to a limit, with their bytes. The others are counted only. So the memory
 * is bounded, whatever matches.
 */
import { Matches } from "./matches.ts";
import { RecordRing, type RingLimits } from "./ring.ts";

export class FoundRecords {
  /** The offsets of the records that are kept, ascending. */
  readonly offsets = new Matches();
  /** All that were found. */
  total = 0;
  readonly #limits: RingLimits;
  /** By the index in `offsets`. */
  #records: RecordRing | undefined;
  #isFull = false;

  constructor(limits: RingLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.offsets.count;
  }
  get bytes(): number {
    return this.#records?.bytes ?? 0;
  }

  clear(): void {
    this.offsets.clear();
    this.total = 0;
    this.#records = undefined;
    this.#isFull = false;
  }

  /** Keeps a copy of the record, if there is room. Offsets come in ascending order. */
  add(offset: number, record: Uint8Array): void {
    this.total++;
    this.#records ??= new RecordRing(this.#limits);
    // A small record after a large one would leave a gap in what is shown.
    this.#isFull ||= this.#records.wouldEvict(record.length);
    if (this.#isFull) return;
    this.#records.push(record);
    this.offsets.add(offset);
  }

  /** Returns the bytes of the record at this offset, if it is kept. */
  at(offset: number): Uint8Array | undefined {
    const index = this.offsets.lowerBound(offset);
    return this.offsets.at(index) === offset ? this.#records?.at(index) : undefined;
  }
}
