/** A commit log in memory with real frames, for tests of the modules above the log. Nothing is durable. */
import { Fault } from "../../../src/fault.ts";
import { batchKind, encodeFrame, frameTimestampMs } from "../../../src/log/mod.ts";
import type {
  Appended,
  AppendOptions,
  BatchSlice,
  Bounds,
  CommitLog,
  LogDescription,
  Offset,
  ReadStart,
  RecordRun,
  Tail,
} from "../../../src/types.ts";

export class MemoryLog implements CommitLog {
  readonly #number: number;
  readonly #slices: BatchSlice[] = [];
  readonly #tails = new Set<() => void>();
  readonly #results = new Map<string, Appended>();
  #lowest = 0;
  #isClosed = false;
  #next = 0;
  /** The number of open tails. Every test should end with 0. */
  openTails = 0;
  /** If set, appends commit when this resolves. */
  gate: Promise<void> | undefined;
  /** The next append fails with this. */
  failNext: Fault | undefined;
  nowMs = 1_700_000_000_000;
  appendCalls: { run: RecordRun; options: AppendOptions }[] = [];

  /** `number` is written in its batches. */
  constructor(number = 0) {
    this.#number = number;
  }

  get next(): Offset {
    return this.#next;
  }

  /** One past the last record, committed or not. */
  get end(): Offset {
    return this.#next;
  }

  async append(run: RecordRun, options: AppendOptions = {}): Promise<Appended> {
    this.appendCalls.push({ run: { bytes: run.bytes.slice(), count: run.count }, options });
    const fault = this.failNext;
    this.failNext = undefined;
    if (fault !== undefined) throw fault;
    const { expectedOffset, producer } = options;
    const key = producer && `${producer.subject} ${producer.id} ${producer.epoch} ${producer.sequence}`;
    const earlier = key === undefined ? undefined : this.#results.get(key);
    if (earlier !== undefined) return { ...earlier, duplicate: true };
    if (expectedOffset !== undefined && expectedOffset !== this.#next) {
      throw new Fault("offset-mismatch", { facts: { expected: expectedOffset, next: this.#next } });
    }
    const firstOffset = this.#next;
    const header = {
      index: this.#slices.length + 1,
      term: 1,
      baseOffset: firstOffset,
      timestampMs: this.nowMs,
      recordCount: run.count,
      kind: batchKind.data,
      logId: this.#number,
    };
    const frames = encodeFrame(header, run.bytes, 0, producer);
    this.#next += run.count;
    const appended = { firstOffset, count: run.count, timestampMs: this.nowMs, duplicate: false };
    if (key !== undefined) this.#results.set(key, appended);
    if (this.gate !== undefined) await this.gate;
    this.#slices.push({ frames, firstOffset, nextOffset: this.#next });
    for (const wake of [...this.#tails]) wake();
    return appended;
  }

  async read(offset: Offset): Promise<BatchSlice> {
    const slice = this.#slices.find(({ nextOffset }) => nextOffset > offset);
    if (slice === undefined || offset < this.#lowest) throw this.#outOfRange(offset);
    return slice;
  }

  async bounds(): Promise<Bounds> {
    return { lowest: this.#lowest, next: this.#next };
  }

  async seek(start: ReadStart): Promise<Offset> {
    if ("offset" in start) {
      if (start.offset < this.#lowest || start.offset > this.#next) throw this.#outOfRange(start.offset);
      return start.offset;
    }
    if ("end" in start) return this.#next;
    if ("last" in start) return Math.max(this.#lowest, this.#next - start.last);
    const slice = this.#slices.find(({ frames }) => frameTimestampMs(frames, 0) >= start.fromTimeMs);
    return Math.max(this.#lowest, slice?.firstOffset ?? this.#next);
  }

  follow(offset: Offset): Tail {
    if (offset < this.#lowest || offset > this.#next) throw this.#outOfRange(offset);
    let position = offset;
    let open = true;
    let wake: (() => void) | undefined;
    const onAppend = (): void => wake?.();
    this.#tails.add(onAppend);
    this.openTails++;
    const peek = (): BatchSlice | undefined => this.#slices.find(({ nextOffset }) => nextOffset > position);
    const end = (): Offset => this.#next;
    return {
      get position() {
        return position;
      },
      get end() {
        return end();
      },
      take: () => {
        if (position < this.#lowest) throw this.#outOfRange(position);
        const slice = peek();
        if (slice !== undefined) position = slice.nextOffset;
        return slice;
      },
      nextBytes: () => (position < this.#lowest ? 0 : (peek()?.frames.length ?? 0)),
      ready: () =>
        new Promise((resolve) => {
          if (!open) return resolve(false);
          if (peek() !== undefined || position < this.#lowest) return resolve(true);
          if (this.#isClosed) return resolve(false);
          wake = () => {
            wake = undefined;
            resolve(open && (!this.#isClosed || peek() !== undefined));
          };
        }),
      [Symbol.dispose]: () => {
        if (!open) return;
        open = false;
        this.openTails--;
        this.#tails.delete(onAppend);
        wake?.();
      },
    };
  }

  /** Tails end after the last record. */
  endTails(): void {
    this.#isClosed = true;
    for (const wake of [...this.#tails]) wake();
  }

  async trim(before: Offset): Promise<Offset> {
    this.#lowest = Math.min(this.#next, Math.max(this.#lowest, before));
    for (const wake of [...this.#tails]) wake();
    return this.#lowest;
  }

  async describe(): Promise<LogDescription> {
    const bytes = this.#slices.reduce((sum, { frames }) => sum + frames.length, 0);
    const segment = {
      baseOffset: 0,
      nextOffset: this.#next,
      bytes,
      indexEntries: this.#slices.length,
      sealed: false,
      firstTimestampMs: this.nowMs,
      lastTimestampMs: this.nowMs,
    };
    return {
      lowest: this.#lowest,
      next: this.#next,
      bytes,
      segments: [segment],
      sync: "always",
      diskFreeBytes: 1e9,
    };
  }

  #outOfRange(offset: Offset): Fault {
    return new Fault("out-of-range", { facts: { offset, lowest: this.#lowest, next: this.#next } });
  }
}
