/**
 * A tail of a log in a cluster. It reads ahead into a bounded buffer. While the buffer is full the stream is not read, and
 * HTTP/2 flow control stops the node. When a stream ends, another node is asked for the next offset that has not
 * arrived, so the reader sees neither a gap nor a duplicate. The first take() or ready() starts the first stream. The tail
 * ends when its log is closed and everything has arrived.
 *
 * Invariant: position <= fetched. The buffer holds the records from position to fetched − 1, and at most the first batch
 * also holds earlier ones.
 */
import { Fault } from "../../fault.ts";
import type { Prng } from "../../lib/prng.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { BatchSlice, Offset, Tail } from "../../types.ts";
import { sleep } from "../calls/abortable-wait.ts";
import { type BackoffSettings, backoffMs } from "../calls/backoff.ts";
import { faultOf, retryDelayOf } from "../calls/fault-of.ts";
import type { RetryingCaller } from "../calls/retrying-caller.ts";
import type { LogIdentity, PinLimits } from "../logs/log-identity.ts";
import type { ConsumeInit } from "../messages.ts";
import type { Seen } from "../session.ts";
import { type BatchStreamOptions, readBatchStream, streamEnded } from "./batch-stream.ts";
import { finalKinds, goodStreamMs } from "./read-stream.ts";
import { type Crc32, indexOf } from "./record-batch.ts";

export interface RemoteTailOptions {
  readonly log: LogIdentity;
  /** Timeout of a question about the log, in milliseconds. */
  readonly callMs: number;
  readonly caller: RetryingCaller;
  readonly clock: Clock;
  readonly chance: Prng;
  readonly backoff: BackoffSettings;
  readonly crc32: Crc32;
  /** Bytes that are read ahead. */
  readonly bufferBytesMax: number;
  /** How long streams may fail in a row before the tail fails, in milliseconds. */
  readonly resumeMs: number;
  /** A stream that receives nothing for this long is replaced by one from another node, in milliseconds; can be infinite. */
  readonly idleMs: number;
  /** The freshness for the next request. What has arrived is known to be committed. */
  readonly freshness: (arrived: Seen) => ConsumeInit;
  /** One past the highest offset that the session knows to be committed. */
  readonly knownEnd: () => Offset;
  /** Called with what the reader has seen. */
  readonly onRead: (seen: Seen) => void;
  readonly onClosed: (tail: RemoteTail) => void;
}

/** The tail fails after so many damaged batches in a row. */
const damagedMax = 3;

export class RemoteTail implements Tail {
  readonly #options: RemoteTailOptions;
  readonly #buffer: BatchSlice[] = [];
  #bufferBytes = 0;
  #position: Offset;
  #fetched: Offset;
  /** What has arrived, and is committed therefore. */
  #arrivedEnd: Seen = { next: 0, place: undefined };
  #isOpen = true;
  /** The log is closed, and everything has arrived. */
  #isAtEnd = false;
  #isRunning = false;
  #fault: Fault | undefined;
  readonly #stop = new AbortController();
  /** The nodes that failed or were idle since the last batch arrived. */
  readonly #avoid = new Set<string>();
  #wakeReader: (() => void) | undefined;
  #ready: Promise<boolean> | undefined;
  #continueStream: (() => void) | undefined;

  constructor(offset: Offset, options: RemoteTailOptions) {
    this.#position = offset;
    this.#fetched = offset;
    this.#options = options;
  }

  get position(): Offset {
    return this.#position;
  }

  /**
   * Returns one batch, whatever `maxBytes` is.
   * @throws the Fault that ended the tail, after all batches before it
   */
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
    this.#options.onRead(this.#seenBy(slice));
    if (!this.#isFull) this.#continueStream?.();
    return slice;
  }

  ready(): Promise<boolean> {
    if (!this.#isOpen) return Promise.resolve(false);
    this.#start();
    if (this.#isReady) return Promise.resolve(true);
    if (this.#isAtEnd) return Promise.resolve(false);
    this.#ready ??= new Promise((resolve) => {
      this.#wakeReader = () => {
        this.#wakeReader = undefined;
        this.#ready = undefined;
        resolve(this.#isOpen && this.#isReady);
      };
    });
    return this.#ready;
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#buffer.length = 0;
    this.#stop.abort(new Fault("canceled", { message: "the tail is closed" }));
    this.#continueStream?.();
    this.#wakeReader?.();
    this.#options.onClosed(this);
  }

  get #isReady(): boolean {
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

  /** Opens streams, one after another, until the tail is closed or fails. */
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
      if (fault === streamEnded && (await this.#isClosedHere())) return this.#end();
      if (fault.kind === "corrupt") damaged++;
      if (damaged > damagedMax || this.#isFinal(fault)) return this.#fail(fault);
      if (++failures === 1) failingSince = clock.monotonicMs();
      if (clock.monotonicMs() - failingSince >= resumeMs) return this.#fail(fault);
      await sleep(clock, backoffMs(backoff, failures, chance, retryDelayOf(fault)), this.#stop.signal);
    }
  }

  /** "out-of-range" is not final if the node may lag: the session or this tail knows that the offset exists. */
  #isFinal(fault: Fault): boolean {
    if (this.#options.caller.closing.aborted) return true;
    if (fault.kind !== "out-of-range") return finalKinds.includes(fault.kind);
    const { lowest } = fault.facts;
    const isTrimmed = lowest !== undefined && lowest > this.#fetched;
    return isTrimmed || this.#fetched > Math.max(this.#options.knownEnd(), this.#arrivedEnd.next);
  }

  /** The log is closed, so it has no records after the last one that arrived. */
  async #isClosedHere(): Promise<boolean> {
    const { log } = this.#options;
    if (log.isDefault) return false;
    return log.isClosedAt(this.#fetched, this.#askLimits()).catch(() => false); // the next stream tells
  }

  #end(): void {
    this.#isAtEnd = true;
    this.#wakeReader?.();
  }

  #askLimits(): PinLimits {
    const { clock, callMs } = this.#options;
    return { deadlineMs: clock.monotonicMs() + callMs, signal: this.#stop.signal };
  }

  /** Reads one stream. Returns why it ended; undefined if it was only idle. */
  async #stream(): Promise<Fault | undefined> {
    const { log, caller, clock, crc32, idleMs, freshness } = this.#options;
    try {
      if (!log.isPinned) await log.pin(this.#askLimits(), "read");
    } catch (reason) {
      return faultOf(reason, "read");
    }
    const options: BatchStreamOptions = {
      caller,
      clock,
      crc32,
      logNumber: log.number,
      idleMs,
      signal: this.#stop.signal,
      avoid: this.#avoid,
      onBatch: (slice) => {
        this.#arrived(slice);
        if (this.#isFull) return new Promise((resolve) => (this.#continueStream = resolve));
        return undefined;
      },
    };
    return readBatchStream(this.#fetched, freshness(this.#arrivedEnd), options);
  }

  #seenBy(slice: BatchSlice): Seen {
    const { log } = this.#options;
    return { next: slice.nextOffset, place: log.placeOf(indexOf(slice)) };
  }

  #arrived(slice: BatchSlice): void {
    if (slice.nextOffset <= this.#fetched) return;
    if (slice.firstOffset > this.#fetched) {
      throw new Fault("corrupt", {
        message: `a node sent offset ${slice.firstOffset}, expected was ${this.#fetched}`,
        facts: { expected: this.#fetched, found: slice.firstOffset },
      });
    }
    this.#buffer.push(slice);
    this.#bufferBytes += slice.frames.length;
    this.#fetched = slice.nextOffset;
    this.#arrivedEnd = this.#seenBy(slice);
    this.#avoid.clear();
    this.#wakeReader?.();
  }
}
