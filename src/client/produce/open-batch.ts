/** The batch that still accepts runs. It copies them one after the other into its own bytes. */
import type { RecordRun } from "../../types.ts";
import { batchOf } from "./batch.ts";
import type { Batch, BatcherSettings, Item } from "./batcher-types.ts";

/** The bytes of a batch grow from here on, in powers of two. */
const firstBytes = 512;

/** Runs share a batch if their deadlines differ by at most this, in milliseconds. */
const deadlineSpreadMs = 250;

export class OpenBatch<Ticket> {
  readonly #settings: Pick<BatcherSettings, "recordsMax" | "bytesMax" | "lingerMs">;
  #items: Item<Ticket>[] = [];
  #data: Uint8Array = new Uint8Array(0);
  #bytes = 0;
  #count = 0;
  #openedAt = 0;
  #expiresAt = 0;
  #isFlushed = false;

  constructor(settings: Pick<BatcherSettings, "recordsMax" | "bytesMax" | "lingerMs">) {
    this.#settings = settings;
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  /** When the first of its deadlines passes. */
  get expiresAt(): number {
    return this.#expiresAt;
  }

  get isFull(): boolean {
    return this.#count >= this.#settings.recordsMax || this.#bytes >= this.#settings.bytesMax;
  }

  /** When it may be sent without being full. */
  get lingersUntil(): number {
    return this.#isFlushed ? Number.NEGATIVE_INFINITY : this.#openedAt + this.#settings.lingerMs;
  }

  /** Whether this run can be added. Otherwise the batch must be sealed first. */
  accepts(run: RecordRun, expiresAt: number): boolean {
    if (this.isEmpty) return true;
    const { recordsMax, bytesMax } = this.#settings;
    return (
      this.#count + run.count <= recordsMax &&
      this.#bytes + run.bytes.length <= bytesMax &&
      Math.abs(expiresAt - this.#expiresAt) <= deadlineSpreadMs
    );
  }

  /** Adds a run, whose bytes are copied. */
  add(run: RecordRun, ticket: Ticket, nowMs: number, expiresAt: number): void {
    if (this.isEmpty) {
      this.#openedAt = nowMs;
      this.#expiresAt = expiresAt;
    }
    this.#expiresAt = Math.min(this.#expiresAt, expiresAt);
    const { length } = run.bytes;
    this.#reserve(length);
    this.#data.set(run.bytes, this.#bytes);
    this.#items.push({ ticket, count: run.count, bytes: length });
    this.#bytes += length;
    this.#count += run.count;
  }

  /** Ends the linger time of the runs in it. */
  flush(): void {
    this.#isFlushed = !this.isEmpty;
  }

  /** Returns the batch and starts an empty one. */
  seal(): Batch<Ticket> {
    const run = { bytes: this.#data.subarray(0, this.#bytes), count: this.#count };
    const batch = batchOf(this.#items, run, this.#expiresAt);
    this.#items = [];
    this.#data = new Uint8Array(0);
    this.#bytes = 0;
    this.#count = 0;
    this.#isFlushed = false;
    return batch;
  }
  #reserve(more: number): void {
    const needed = this.#bytes + more;
    if (needed <= this.#data.length) return;
    const doubled = Math.min(Math.max(firstBytes, 2 * this.#data.length), this.#settings.bytesMax);
    const grown = new Uint8Array(Math.max(needed, doubled));
    grown.set(this.#data.subarray(0, this.#bytes));
    this.#data = grown;
  }
}
