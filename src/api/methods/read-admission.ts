/**
 * When a reader of the log may read on: its client has window, the socket takes bytes, and what cannot leave at once
 * fits in the memory budget. Before that nothing is read or rendered for it.
 */
import type { Clock } from "../../lib/time/clock.ts";
import { type MemoryBudget, type MemoryShare, smallBytes } from "../../memory/mod.ts";
import type { BatchSlice } from "../../types.ts";
import { faultOfAbort } from "../calls/abort.ts";

/** Where an answer goes: an exchange, or a stream. */
export interface Sink {
  /** Bytes that can leave at once; 0 while the client takes nothing. */
  readonly writableBytes: number;
  /** Calls back once when `writableBytes` is above 0 again; never when the answer is over before. To be asked when it is 0. */
  whenWritable(callback: () => void): void;
}

/** What a batch takes in an answer besides its stored bytes, as a part of these; a rough bound. */
const renderedShare = 1 / 4;
/** How long a single answer waits for memory. */
export const memoryWaitMs = 1000;

/** Times that a batch is copied on its way into an answer of text. */
const copiesMade = 4;

/** What becomes of a batch as text, as a part of its stored bytes: base64 and names. */
const encodedShare = 3 / 2;

const renderedBytes = (bytes: number): number => Math.ceil(bytes * (1 + renderedShare));

/** True when the next batch, of `nextBytes()`, may be read. */
export function mayRead(sink: Sink, memory: MemoryBudget, nextBytes: () => number): boolean {
  const { writableBytes } = sink;
  if (writableBytes === 0) return false;
  if (!memory.short && !memory.needsCollection) return true;
  const bytes = renderedBytes(nextBytes());
  if (bytes > smallBytes && memory.needsCollection) return false;
  return bytes <= writableBytes || memory.fits(bytes, bytes);
}

/** Calls `goOn` once when it is worth asking mayRead() again. The returned function takes that back. */
export function whenReadable(
  sink: Sink,
  memory: MemoryBudget,
  nextBytes: () => number,
  goOn: () => void,
): () => void {
  if (sink.writableBytes > 0) return memory.whenFits(renderedBytes(nextBytes()), goOn);
  let wanted = true;
  sink.whenWritable(() => {
    if (wanted) goOn();
  });
  return () => {
    wanted = false;
  };
}

export interface ReadableOptions {
  readonly sink: Sink;
  readonly memory: MemoryBudget;
  readonly clock: Clock;
  readonly nextBytes: () => number;
  readonly signal: AbortSignal;
  /** How long to wait for memory; undefined: as long as it takes. There is no limit to waiting for the client. */
  readonly waitMs?: number | undefined;
}

/** What an answer of one record needs besides a client that takes it. */
export interface SingleRead extends Omit<ReadableOptions, "nextBytes"> {
  /** Counts the batch while it is read and rendered; the caller gives it back when the answer has left. */
  readonly share: MemoryShare;
}

/**
 * Waits for a client that takes something and for memory, and holds so many bytes.
 * @throws as waitToRead()
 */
export async function holdWhenRoom({ share, ...options }: SingleRead, wanted: number): Promise<void> {
  const { sink, memory } = options;
  // What is larger than the budget allows goes alone.
  const bytes = Math.min(wanted, memory.limit / 2);
  const nextBytes = (): number => bytes;
  const mustWait = (): boolean => bytes > smallBytes && memory.needsCollection;
  while (sink.writableBytes === 0 || mustWait() || !memory.fits(bytes, bytes)) {
    await waitToRead({ ...options, nextBytes });
  }
  share.hold(bytes);
  memory.addReadGarbage(copiesMade * bytes);
}

/**
 * Resolves when it is worth asking mayRead() again. Ask and read in one turn: others wait for the same room.
 * @throws the fault of the signal's abort; Fault "overloaded" when there is no memory within `waitMs`
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
  /** The reader keeps the last slice while it waits for the next one, as generators do with their last values. */
  readonly keeps: boolean;
  /** Ends the answer of a client that takes nothing while memory is short. */
  readonly cut: () => void;
}

/** What a reader keeps of a slice while its records are sent one by one. */
export class ReadHold {
  readonly #memory: MemoryBudget;
  readonly #share: MemoryShare;
  readonly #keeps: boolean;
  #buffer: ArrayBufferLike | undefined;
  #reserved = 0;

  constructor(memory: MemoryBudget, { keeps, cut }: ReadHoldOptions) {
    this.#memory = memory;
    this.#keeps = keeps;
    this.#share = memory.share("out", cut);
  }

  /** Counts a slice, and what becomes of it in the answer, instead of the one before. */
  hold(slice: BatchSlice): void {
    const { buffer, length } = slice.frames;
    this.#memory.pin(buffer);
    this.#unpin();
    this.#buffer = buffer;
    this.#reserve(Math.ceil(encodedShare * length));
    this.#memory.addReadGarbage(copiesMade * length);
    this.#share.attribute(length);
  }

  /** The answer's bytes are counted where they wait from now on. */
  rendered(): void {
    this.#reserve(0);
  }

  /** So many bytes of it went on. */
  progress(bytes: number): void {
    this.#share.progress(bytes);
  }

  /** All of the slice was sent. */
  sent(): void {
    if (!this.#keeps) this.release();
  }

  release(): void {
    this.#reserve(0);
    this.#unpin();
    this.#share.attribute(0);
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
