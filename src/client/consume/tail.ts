/**
 * A tail on a far log. It reads ahead into a bounded buffer; when that is full it leaves the stream alone, and the
 * connection's flow control holds the node back. When a stream ends, another node is asked for exactly the next
 * offset that has not arrived: what is shown has neither gap nor duplicate.
 *
 * Nothing is asked for before the first take() or ready().
 *
 * Invariant: position <= fetched; the buffer holds exactly the records of position … fetched−1 (and perhaps, in its
 * first batch, some before).
 *
 * Never: shows a batch whose CRC is wrong, goes back, polls.
 */
import { Fault, type FaultKind } from "../../fault.ts";
import type { Prng } from "../../lib/prng.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { BatchSlice, Offset, Tail } from "../../types.ts";
import { sleep } from "../calls/abortable-wait.ts";
import { type BackoffSettings, backoffMs } from "../calls/backoff.ts";
import { faultOf, retryDelayOf } from "../calls/fault-of.ts";
import type { Attempt, CallOptions, RetryingCaller } from "../calls/retrying-caller.ts";
import { type ConsumeInit, uint64Of } from "../messages.ts";
import { consumeBatches, frameOf } from "../raw-batches.ts";
import { type Crc32, checkBatch } from "./record-batch.ts";

export interface TailOptions {
  readonly caller: RetryingCaller;
  readonly clock: Clock;
  readonly chance: Prng;
  readonly backoff: BackoffSettings;
  readonly crc32: Crc32;
  readonly bufferBytesMax: number;
  readonly resumeMs: number;
  readonly idleMs: number;
  /** How fresh a node must be, as the request says it. */
  readonly freshness: () => ConsumeInit;
  /** The end of what this session knows to be committed. */
  readonly knownEnd: () => Offset;
  readonly onSeen: (nextOffset: Offset) => void;
  readonly onClosed: (tail: RemoteTail) => void;
}

/** Whatever node is asked, the answer would be the same. */
const final: readonly FaultKind[] = [
  "unreachable",
  "out-of-range",
  "bad-request",
  "unauthenticated",
  "permission-denied",
  "unimplemented",
  "failed-precondition",
  "unsupported-version",
];
const damagedMax = 3;
/** A stream that lasted so long was a good one, even if nothing came. */
const goodStreamMs = 5_000;

export class RemoteTail implements Tail {
  readonly #options: TailOptions;
  readonly #buffer: BatchSlice[] = [];
  #bufferBytes = 0;
  #position: Offset;
  #fetched: Offset;
  #isOpen = true;
  #isRunning = false;
  #fault: Fault | undefined;
  readonly #stop = new AbortController();
  /** Nodes that were tried in vain since something last arrived. */
  readonly #avoid = new Set<string>();
  #wakeReader: (() => void) | undefined;
  #waiting: Promise<boolean> | undefined;
  #wakePump: (() => void) | undefined;

  constructor(offset: Offset, options: TailOptions) {
    this.#position = offset;
    this.#fetched = offset;
    this.#options = options;
  }

  get position(): Offset {
    return this.#position;
  }

  /** One batch, whatever `maxBytes` is. Throws the Fault that ended the tail once everything before it was shown. */
  take(_maxBytes?: number): BatchSlice | undefined {
    if (!this.#isOpen) return undefined;
    this.#start();
    const slice = this.#buffer.shift();
    if (slice === undefined) {
      if (this.#fault !== undefined) throw this.#fault;
      return undefined;
    }
    this.#bufferBytes -= slice.frames.length;
    this.#position = slice.nextOffset;
    this.#options.onSeen(slice.nextOffset);
    if (!this.#isFull) this.#wakePump?.();
    return slice;
  }

  ready(): Promise<boolean> {
    if (!this.#isOpen) return Promise.resolve(false);
    this.#start();
    if (this.#hasNews) return Promise.resolve(true);
    this.#waiting ??= new Promise((resolve) => {
      this.#wakeReader = () => {
        this.#wakeReader = undefined;
        this.#waiting = undefined;
        resolve(this.#isOpen);
      };
    });
    return this.#waiting;
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#buffer.length = 0;
    this.#stop.abort(new Fault("canceled", { message: "the tail is closed" }));
    this.#wakePump?.();
    this.#wakeReader?.();
    this.#options.onClosed(this);
  }

  get #hasNews(): boolean {
    return this.#buffer.length > 0 || this.#fault !== undefined;
  }

  get #isFull(): boolean {
    return this.#bufferBytes >= this.#options.bufferBytesMax;
  }

  #start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#run().catch((reason) => this.#fail(Fault.from(reason)));
  }

  #fail(fault: Fault): void {
    this.#fault = fault;
    this.#wakeReader?.();
  }

  /** Streams, one after another, until disposed or until no node will do. */
  async #run(): Promise<void> {
    const { clock, chance, backoff, resumeMs } = this.#options;
    let failures = 0;
    let damaged = 0;
    let failingSince = 0;
    while (this.#isOpen) {
      const beganAt = clock.monotonicMs();
      const fetchedBefore = this.#fetched;
      const fault = await this.#stream();
      if (!this.#isOpen) return;
      const isGood = this.#fetched > fetchedBefore || clock.monotonicMs() - beganAt >= goodStreamMs;
      if (isGood) {
        failures = 0;
        damaged = 0;
      }
      if (fault === undefined) continue;
      if (fault.kind === "corrupt") damaged++;
      if (damaged > damagedMax || this.#isFinal(fault)) return this.#fail(fault);
      if (++failures === 1) failingSince = clock.monotonicMs();
      if (clock.monotonicMs() - failingSince >= resumeMs) return this.#fail(fault);
      await sleep(clock, backoffMs(backoff, failures, chance, retryDelayOf(fault)), this.#stop.signal);
    }
  }

  /** A node that lags behind what this session knows cannot judge that an offset is beyond the end. */
  #isFinal(fault: Fault): boolean {
    if (this.#options.caller.closing.aborted) return true;
    if (fault.kind !== "out-of-range") return final.includes(fault.kind);
    const { lowest } = fault.facts;
    const isTrimmed = lowest !== undefined && lowest > this.#fetched;
    return isTrimmed || this.#fetched > this.#options.knownEnd();
  }

  /** One stream of one node. Answers why it ended; undefined when it only was silent for too long. */
  async #stream(): Promise<Fault | undefined> {
    const { caller, clock, idleMs } = this.#options;
    const cut = new AbortController();
    let isSilent = false;
    const silence = (): void => {
      isSilent = true;
      cut.abort();
    };
    const watch = (): (() => void) => {
      if (!Number.isFinite(idleMs)) return () => {};
      const timer = clock.after(idleMs, silence);
      return () => timer.cancel();
    };
    const signal = AbortSignal.any([cut.signal, this.#stop.signal]);
    let addr: string | undefined;
    try {
      const options: CallOptions = {
        purpose: "read",
        effect: "read",
        deadlineMs: Number.POSITIVE_INFINITY,
        signal,
        avoid: this.#avoid,
      };
      await caller.attempt(options, async (attempt) => {
        addr = attempt.addr;
        await this.#receive(attempt, watch);
      });
      if (this.#isOpen && addr !== undefined) caller.blame(addr, ended, this.#avoid);
      return ended;
    } catch (reason) {
      return isSilent ? undefined : faultOf(reason, "read");
    } finally {
      cut.abort(); // Connect's iterators have no return(): only this frees the stream
    }
  }

  async #receive({ addr, transport, signal }: Attempt, watch: () => () => void): Promise<void> {
    const { crc32, freshness, caller } = this.#options;
    const request = { offset: uint64Of("offset", this.#fetched), ...freshness() };
    let unwatch = watch(); // from the start: where nothing is sent, not even headers may come
    try {
      const answer = await transport.stream(consumeBatches, signal, undefined, undefined, once(request));
      for await (const message of answer.message) {
        unwatch();
        caller.picker.succeeded(addr);
        this.#arrived(checkBatch(frameOf(message), crc32));
        if (this.#isFull) await new Promise<void>((resolve) => (this.#wakePump = resolve));
        if (!this.#isOpen) return;
        unwatch = watch();
      }
    } finally {
      unwatch();
    }
  }

  #arrived(slice: BatchSlice): void {
    if (slice.nextOffset <= this.#fetched) return;
    if (slice.firstOffset > this.#fetched) {
      throw new Fault("corrupt", {
        message: `after offset ${this.#fetched - 1} a node sent ${slice.firstOffset}`,
        facts: { expected: this.#fetched, found: slice.firstOffset },
      });
    }
    this.#buffer.push(slice);
    this.#bufferBytes += slice.frames.length;
    this.#fetched = slice.nextOffset;
    this.#avoid.clear();
    this.#wakeReader?.();
  }
}

const ended = new Fault("unavailable", { message: "the node ended the stream" });

async function* once<T>(item: T): AsyncGenerator<T, void, undefined> {
  yield item;
}
