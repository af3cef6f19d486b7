/**
 * The records a tab holds: a contiguous run of offsets `first … next-1`, each as the encoded Record message,
 * copied into pages that are reused. So memory is bounded, whatever streams through, and nothing is decoded until it is
 * shown.
 *
 *   page := bytes of whole records, in order; a record larger than a page has a page of its own
 */

const pageBytes = 1 << 20;

interface Page {
  readonly bytes: Uint8Array;
  used: number;
  /** Records in it that are still in the ring. */
  held: number;
}

export interface RingLimits {
  readonly recordsMax: number;
  readonly bytesMax: number;
}

export class RecordRing {
  readonly limits: RingLimits;
  /** How many records were dropped from the front since the last clear. */
  evicted = 0;
  /** Invariant: first <= next; every offset between them is in the ring. */
  #first = 0;
  #next = 0;
  #bytes = 0;
  readonly #pages: Page[] = [];
  #spare: Uint8Array[] = [];
  /** Slot of offset n is n mod recordsMax. */
  readonly #slotPage: (Page | undefined)[];
  readonly #slotStart: Uint32Array;
  readonly #slotLength: Uint32Array;

  constructor(limits: RingLimits) {
    this.limits = limits;
    this.#slotPage = new Array<Page | undefined>(limits.recordsMax);
    this.#slotStart = new Uint32Array(limits.recordsMax);
    this.#slotLength = new Uint32Array(limits.recordsMax);
  }

  get first(): number {
    return this.#first;
  }
  get next(): number {
    return this.#next;
  }
  get count(): number {
    return this.#next - this.#first;
  }
  /** Bytes of the records in the ring. */
  get bytes(): number {
    return this.#bytes;
  }
  /** Bytes of all pages, used or spare: the real cost. */
  get reservedBytes(): number {
    let sum = 0;
    for (const page of this.#pages) sum += page.bytes.length;
    for (const page of this.#spare) sum += page.length;
    return sum;
  }

  /** Would push() of a record of this size have to drop the record at first? */
  wouldEvict(recordBytes: number): boolean {
    return (
      this.count > 0 &&
      (this.count >= this.limits.recordsMax || this.#bytes + recordBytes > this.limits.bytesMax)
    );
  }

  /** Empties the ring; the next record pushed has this offset. */
  clear(next: number): void {
    while (this.count > 0) this.#drop();
    this.#first = next;
    this.#next = next;
    this.evicted = 0;
  }

  /** Copies a record in as offset `next`, dropping the oldest ones until it fits. */
  push(record: Uint8Array): void {
    while (this.wouldEvict(record.length)) {
      this.#drop();
      this.evicted++;
    }
    const page = this.#pageFor(record.length);
    const slot = this.#next % this.limits.recordsMax;
    page.bytes.set(record, page.used);
    this.#slotPage[slot] = page;
    this.#slotStart[slot] = page.used;
    this.#slotLength[slot] = record.length;
    page.used += record.length;
    page.held++;
    this.#bytes += record.length;
    this.#next++;
  }

  /** Returns the record's bytes, or undefined if it is not in the ring. A view, valid until the next push. */
  at(offset: number): Uint8Array | undefined {
    if (offset < this.#first || offset >= this.#next) return undefined;
    const slot = offset % this.limits.recordsMax;
    const start = this.#slotStart[slot] as number;
    return this.#slotPage[slot]?.bytes.subarray(start, start + (this.#slotLength[slot] as number));
  }

  #pageFor(recordBytes: number): Page {
    const last = this.#pages.at(-1);
    if (last !== undefined && last.bytes.length - last.used >= recordBytes) return last;
    const bytes =
      recordBytes > pageBytes
        ? new Uint8Array(recordBytes)
        : (this.#spare.pop() ?? new Uint8Array(pageBytes));
    const page: Page = { bytes, used: 0, held: 0 };
    this.#pages.push(page);
    return page;
  }

  #drop(): void {
    const slot = this.#first % this.limits.recordsMax;
    const page = this.#slotPage[slot] as Page;
    this.#slotPage[slot] = undefined;
    this.#bytes -= this.#slotLength[slot] as number;
    this.#first++;
    page.held--;
    if (page.held > 0 || page !== this.#pages[0]) return;
    this.#pages.shift();
    if (page.bytes.length === pageBytes && this.#spare.length < 2) this.#spare.push(page.bytes);
  }
}
