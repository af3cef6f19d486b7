/**
 * Decides when a reader of the log may read on: its client has window, the socket accepts bytes, and the memory budget has
 * room for what cannot be sent at once. Before that, nothing is read or encoded for the reader.
 */
import type { Clock } from "../../lib/time/clock.ts";
import { type MemoryBudget, type MemoryShare, smallBytes } from "../../memory/mod.ts";
import type { BatchSlice } from "../../types.ts";
import { faultOfAbort } from "../calls/abort.ts";

/** Where a response goes: an exchange or a stream. */
export interface Sink {
  /** Bytes that can be sent now; 0 while the client accepts none. */
  readonly writableBytes: number;
  /** Calls back once when `writableBytes` is above 0 again, unless the response ends first. Call it when it is 0. */
  whenWritable(callback: () => void): void;
}

/** Upper bound of the overhead of a batch in a response, as a fraction of its stored bytes. */
const overheadRatio = 1 / 4;
/** How long a response of one record waits for memory, in milliseconds. */
export const memoryWaitMs = 1000;

/** How often a batch is copied while it is encoded as text. */
const copiesMade = 4;

/** Size of a batch as text (base64 and field names), as a multiple of its stored bytes. */
const textRatio = 3 / 2;

const renderedBytes = (bytes: number): number => Math.ceil(bytes * (1 + overheadRatio));

/** Returns true if the next batch, of `nextBytes()` bytes, may be read now. */
export function mayRead(sink: Sink, memory: MemoryBudget, nextBytes: () => number): boolean {
  const { writableBytes } = sink;
  if (writableBytes === 0) return false;
  if (!memory.short && !memory.needsCollection) return true;
  const bytes = renderedBytes(nextBytes());
  if (bytes > smallBytes && memory.needsCollection) return false;
  return bytes <= writableBytes || memory.fits(bytes, bytes);
}

/** Calls `goOn` once when mayRead() may have become true. The returned function cancels that. */
export function whenReadable(
  sink: Sink,
  memory: MemoryBudget,
  nextBytes: () => number,
  goOn: () => void,
): () => void {
  if (sink.writableBytes > 0) return memory.whenFits(renderedBytes(nextBytes()), goOn);
  let isCanceled = false;
  sink.whenWritable(() => {
    if (!isCanceled) goOn();
  });
  return () => {
    isCanceled = true;
  };
}

export interface ReadableOptions {
  readonly sink: Sink;
  readonly memory: MemoryBudget;
  readonly clock: Clock;
  readonly nextBytes: () => number;
  readonly signal: AbortSignal;
  /** How long to wait for memory, in milliseconds. Default: no limit. The wait for the client has no limit. */
  readonly waitMs?: number | undefined;
}

/** What a read of one record needs. */
export interface SingleReadOptions extends Omit<ReadableOptions, "nextBytes"> {
  /** Counts the batch while it is read and encoded. The caller releases it when the response has been sent. */
  readonly share: MemoryShare;
}

/**
 * Waits until the client accepts bytes and the budget has room, then counts `requestedBytes` bytes in the share. All waits
 * for memory together take at most `waitMs`.
 * @throws as waitToRead()
 */
export async function reserveWhenReadable(
  { share, waitMs, ...options }: SingleReadOptions,
  requestedBytes: number,
): Promise<void> {
  const { sink, memory, clock } = options;
  // A batch of more than half of the budget counts as half, so that it can be read at all.
  const bytes = Math.min(requestedBytes, memory.limit / 2);
  const nextBytes = (): number => bytes;
  let leftMs = waitMs;
  const mustWait = (): boolean => bytes > smallBytes && memory.needsCollection;
  while (sink.writableBytes === 0 || mustWait() || !memory.fits(bytes, bytes)) {
    const sinceMs = clock.monotonicMs();
    const isForMemory = sink.writableBytes > 0;
    await waitToRead({ ...options, nextBytes, waitMs: leftMs });
    if (leftMs !== undefined && isForMemory) leftMs -= clock.monotonicMs() - sinceMs;
  }
  share.hold(bytes);
  memory.addReadGarbage(copiesMade * bytes);
}

/**
 * Resolves when mayRead() may have become true. Call mayRead() and read in the same turn, since others wait too.
 * @throws the fault of an abort; Fault "overloaded" if there is no memory within `waitMs`
 */
export async function waitToRead({
  sink,
  memory,
  clock,
  nextBytes,
  signal,
  waitMs,
}: ReadableOptions): Promise<void> {
  if (signal.aborted) throw faultOfAbort(signal);
  return new Promise((resolve, reject) => {
    const done = (finish: () => void): void => {
      stop();
      timer?.cancel();
      signal.removeEventListener("abort", onAbort);
      finish();
    };
    const onAbort = (): void => done(() => reject(faultOfAbort(signal)));
    signal.addEventListener("abort", onAbort, { once: true });
    const noMemory = (): void => done(() => reject(memory.refusal("out")));
    const timer = sink.writableBytes > 0 && waitMs !== undefined ? clock.after(waitMs, noMemory) : undefined;
    const stop = whenReadable(sink, memory, nextBytes, () => done(resolve));
  });
}

export interface ReadHoldOptions {
  /** The reader keeps the last slice while it waits for the next one, as a generator keeps its last value. */
  readonly keeps: boolean;
  /** Ends the response of a client that reads nothing while memory is short. */
  readonly cut: () => void;
  /** Returns true if all readers of the slice send the same text, which is made once. Default: each makes its own. */
  readonly shares?: (slice: BatchSlice) => boolean;
}

/** Slices of shared text whose copies have been noted as garbage. */
const notedSlices = new WeakSet<BatchSlice>();

/** Counts the memory of the slice whose records a reader is sending. */
export class ReadHold {
  readonly #memory: MemoryBudget;
  readonly #share: MemoryShare;
  readonly #keeps: boolean;
  readonly #shares: (slice: BatchSlice) => boolean;
  #buffer: ArrayBufferLike | undefined;
  #reserved = 0;

  constructor(memory: MemoryBudget, { keeps, cut, shares = () => false }: ReadHoldOptions) {
    this.#memory = memory;
    this.#keeps = keeps;
    this.#shares = shares;
    this.#share = memory.share("out", cut);
  }

  /** Counts a slice and its encoded form instead of the one before. */
  hold(slice: BatchSlice): void {
    const { buffer, length } = slice.frames;
    this.#memory.pin(buffer);
    this.#unpin();
    this.#buffer = buffer;
    this.#reserve(Math.ceil(textRatio * length));
    if (!this.#isNoted(slice)) this.#memory.addReadGarbage(copiesMade * length);
    this.#share.attribute(length);
  }

  /** The encoded bytes are counted elsewhere from now on, where they wait to be sent. */
  rendered(): void {
    this.#reserve(0);
  }

  /** `bytes` bytes of it were sent. */
  progress(bytes: number): void {
    this.#share.progress(bytes);
  }

  /** The whole slice was sent. */
  sent(): void {
    if (!this.#keeps) this.release();
  }

  release(): void {
    this.#reserve(0);
    this.#unpin();
    this.#share.attribute(0);
  }

  /** Returns true if an earlier reader of the slice has noted the copies. */
  #isNoted(slice: BatchSlice): boolean {
    if (!this.#shares(slice)) return false;
    if (notedSlices.has(slice)) return true;
    notedSlices.add(slice);
    return false;
  }

  #unpin(): void {
    if (this.#buffer !== undefined) this.#memory.unpin(this.#buffer);
    this.#buffer = undefined;
  }

  #reserve(bytes: number): void {
    this.#memory.count("out", bytes - this.#reserved);
    this.#reserved = bytes;
  }
}
