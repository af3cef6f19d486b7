/**
 * Runs the filter over the ring in a worker, batch by batch, and keeps the matches. A batch that takes too long ends the
 * worker and is reported; the page stays responsive. The tail waits until the filter has caught up.
 */
import { signal } from "@preact/signals";
import type { FilterSpec, Marks } from "../core/filter.ts";
import { Matches } from "../core/matches.ts";
import type { RecordRing } from "../core/ring.ts";
import type { FromWorker, ToWorker } from "../io/filter-worker.ts";
import { after } from "../io/timing.ts";

const batchRecordsMax = 1_000;
const batchBytesMax = 512 << 10;
const batchMsMax = 2_000;
/** Records that may wait for the filter before the tail pauses. */
const lagMax = 4_000;

export interface SearchState {
  readonly on: boolean;
  /** What is wrong with the query, or why it was stopped. */
  readonly wrong: string | undefined;
}

export class Search {
  readonly state = signal<SearchState>({ on: false, wrong: undefined });
  readonly matches = new Matches();
  /** One past the last offset searched. */
  searched = 0;
  readonly #ring: RecordRing;
  readonly #changed: () => void;
  readonly #marks = new Map<number, Marks>();
  #worker: Worker | undefined;
  /** A batch is in progress, or the worker is not ready yet. */
  #busy = false;
  #cancelWatchdog = (): void => {};
  #waiting: (() => void)[] = [];

  constructor(ring: RecordRing, changed: () => void) {
    this.#ring = ring;
    this.#changed = changed;
  }

  marksOf(offset: number): Marks | undefined {
    return this.#marks.get(offset);
  }

  /** Sets or, with undefined, removes the filter, and starts again. */
  set(spec: FilterSpec | undefined): void {
    this.#end();
    this.restart();
    this.state.value = { on: spec !== undefined, wrong: undefined };
    if (spec !== undefined) this.#begin(spec);
    this.#changed();
  }

  /** Deletes the matches; the ring was emptied or the query changed. */
  restart(): void {
    this.matches.clear();
    this.#marks.clear();
    this.searched = this.#ring.first;
  }

  /** The ring has new records, or dropped some. */
  pump(): void {
    if (!this.state.peek().on) return;
    this.#forget();
    if (this.#worker === undefined || this.#busy || this.searched >= this.#ring.next) return;
    const batch = this.#cut();
    const last = batch.first + batch.lengths.length - 1;
    this.#busy = true;
    this.#post(batch, [batch.bytes.buffer, batch.lengths.buffer]);
    this.#cancelWatchdog = after(batchMsMax, () => {
      this.#stop(
        `The filter took longer than ${batchMsMax / 1000} s on records ${batch.first}–${last} and was stopped.`,
      );
    });
  }

  /** Resolves when the filter has nearly caught up with the ring; undefined when it has already. */
  room(): Promise<void> | undefined {
    if (!this.state.peek().on || !this.#behind()) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Large records fill the ring with a few: then half of it is the bound. */
  #behind(): boolean {
    const lag = this.#ring.next - this.searched;
    return lag >= lagMax || (lag > 16 && lag * 2 > this.#ring.count);
  }

  #begin(spec: FilterSpec): void {
    const worker = new Worker(new URL("../io/filter-worker.ts", import.meta.url), { type: "module" });
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (worker === this.#worker) this.#answered(data);
    };
    worker.onerror = () => this.#stop("The filter could not be started.");
    this.#busy = true;
    this.#post({ kind: "spec", spec }, []);
  }

  #post(message: ToWorker, transfer: Transferable[]): void {
    this.#worker?.postMessage(message, transfer);
  }

  #answered(answer: FromWorker): void {
    if (answer.kind === "wrong") {
      this.#stop(answer.why);
      return;
    }
    this.#cancelWatchdog();
    this.#busy = false;
    if (answer.kind === "matches" && answer.first === this.searched) {
      for (const { offset, marks } of answer.found) {
        this.matches.add(offset);
        if (marks.length > 0) this.#marks.set(offset, marks);
      }
      this.searched = answer.next;
    }
    this.pump();
    if (!this.#behind()) this.#release();
    this.#changed();
  }

  /** Deletes matches that left the ring. A batch in progress is then discarded (see #answered) and starts again. */
  #forget(): void {
    const { first } = this.#ring;
    for (
      let offset = this.matches.at(0);
      offset !== undefined && offset < first;
      offset = this.matches.at(0)
    ) {
      this.#marks.delete(offset);
      this.matches.dropBefore(offset + 1);
    }
    if (this.searched < first && !this.#busy) this.searched = first;
  }

  #cut(): Extract<ToWorker, { kind: "batch" }> {
    const first = this.searched;
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for (let offset = first; parts.length < batchRecordsMax; offset++) {
      const record = this.#ring.at(offset);
      if (record === undefined || (bytes + record.length > batchBytesMax && parts.length > 0)) break;
      parts.push(record);
      bytes += record.length;
    }
    const joined = new Uint8Array(bytes);
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    return { kind: "batch", first, bytes: joined, lengths: Uint32Array.from(parts, (part) => part.length) };
  }

  #stop(why: string): void {
    this.#end();
    this.restart();
    this.state.value = { on: false, wrong: why };
    this.#changed();
  }

  #end(): void {
    this.#cancelWatchdog();
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#busy = false;
    this.#release();
  }

  #release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
