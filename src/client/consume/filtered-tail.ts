/**
 * A tail of a log of which the nodes send the records that match a filter. When a stream ends, because it has used its time or
 * because its node fails, another one goes on at the next record that was not evaluated. So the reader sees neither a gap nor a
 * duplicate. It reads ahead into a bounded buffer.
 */
import { createClient } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import { type ConsumeResponse, Log } from "../../gen/log/v1/log_pb.js";
import type { Prng } from "../../lib/prng.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { Offset } from "../../types.ts";
import { sleep } from "../calls/abortable-wait.ts";
import { type BackoffSettings, backoffMs } from "../calls/backoff.ts";
import { faultOf, retryDelayOf } from "../calls/fault-of.ts";
import type { RetryingCaller } from "../calls/retrying-caller.ts";
import type { LogIdentity } from "../logs/log-identity.ts";
import { type ConsumeInit, numberOf, uint64Of } from "../messages.ts";
import { streamEnded } from "./batch-stream.ts";
import { finalKinds, goodStreamMs, readStream } from "./read-stream.ts";
import type { LogRecord } from "./record-batch.ts";

/** How far a read with a filter is. */
export interface FilterPosition {
  /** Everything before it was evaluated, and returned if it matches. A read that begins here goes on. */
  readonly next: Offset;
  /** One past the last committed record of the node. */
  readonly end: Offset;
  /** Records that were passed over, because their evaluation would have cost too much. */
  readonly skipped: number;
}

export interface FilteredTailOptions {
  readonly log: LogIdentity;
  readonly caller: RetryingCaller;
  readonly clock: Clock;
  readonly chance: Prng;
  readonly backoff: BackoffSettings;
  /** Timeout of a question about the log, in milliseconds. */
  readonly callMs: number;
  readonly bufferBytesMax: number;
  /** How long streams may fail in a row before the tail fails, in milliseconds. */
  readonly resumeMs: number;
  /** A stream that receives nothing for this long is replaced, in milliseconds. */
  readonly idleMs: number;
  readonly filter: string;
  /** The first offset that is not read. Undefined: the tail goes on at the end. */
  readonly until: Offset | undefined;
  readonly freshness: () => ConsumeInit;
  /** One past the highest offset that the session knows to be committed. */
  readonly knownEnd: () => Offset;
  readonly onClosed: (tail: FilteredTail) => void;
}

type Item = LogRecord | FilterPosition;

export class FilteredTail implements Disposable {
  readonly #options: FilteredTailOptions;
  readonly #stop = new AbortController();
  /** The nodes that failed or were idle since the last message arrived. */
  readonly #avoid = new Set<string>();
  readonly #buffer: Item[] = [];
  #bufferBytes = 0;
  readonly #from: Offset;
  /** The next record that was not evaluated, as far as is known. */
  #next: Offset;
  /** Of the streams before this one, and of all. */
  #skippedBefore = 0;
  #skipped = 0;
  /** The stream has sent what only a node that knows filters sends. */
  #isFiltered = false;
  #isSuspended = false;
  #end: { readonly fault: Fault | undefined } | undefined;
  #isRunning = false;
  #wakeReader: (() => void) | undefined;
  #continueStream: (() => void) | undefined;

  constructor(from: Offset, options: FilteredTailOptions) {
    this.#from = from;
    this.#next = from;
    this.#options = options;
  }

  /**
   * Returns the next record or position; undefined at `until`, when the log is closed, and when the tail is disposed of.
   * @throws the Fault that ended the tail, after all before it
   */
  async take(): Promise<Item | undefined> {
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#run().catch((reason: unknown) => this.#finish(Fault.from(reason)));
    }
    while (this.#buffer.length === 0) {
      if (this.#end?.fault !== undefined) throw this.#end.fault;
      if (this.#end !== undefined) return undefined;
      await new Promise<void>((resolve) => (this.#wakeReader = resolve));
    }
    const item = this.#buffer.shift()!;
    this.#bufferBytes -= bytesOf(item);
    if (!this.#isFull) this.#continueStream?.();
    return item;
  }

  [Symbol.dispose](): void {
    this.#finish(undefined);
    this.#stop.abort(new Fault("canceled", { message: "the tail is closed" }));
    this.#buffer.length = 0;
    this.#continueStream?.();
    this.#options.onClosed(this);
  }

  get #isFull(): boolean {
    return this.#bufferBytes >= this.#options.bufferBytesMax;
  }

  #finish(fault: Fault | undefined): void {
    this.#end ??= { fault };
    this.#wakeReader?.();
  }

  /** Opens streams, one after another. */
  async #run(): Promise<void> {
    const { clock, chance, backoff, resumeMs, until } = this.#options;
    let failures = 0;
    let failingSince = 0;
    while (this.#end === undefined) {
      if (until !== undefined && this.#next >= until) return this.#finish(undefined);
      const [beganMs, before] = [clock.monotonicMs(), this.#next];
      const fault = await this.#stream();
      if (this.#end !== undefined) return;
      if (this.#next > before || clock.monotonicMs() - beganMs >= goodStreamMs) failures = 0;
      if (fault === undefined || (this.#isSuspended && this.#next > before)) continue;
      if (fault === streamEnded) {
        if (until !== undefined && this.#next >= until) continue;
        if (await this.#isClosedHere()) return this.#finish(undefined);
      }
      if (this.#isFinal(fault)) return this.#finish(fault);
      if (++failures === 1) failingSince = clock.monotonicMs();
      if (clock.monotonicMs() - failingSince >= resumeMs) return this.#finish(fault);
      await sleep(clock, backoffMs(backoff, failures, chance, retryDelayOf(fault)), this.#stop.signal);
    }
  }

  /** "out-of-range" is not final if the node may lag: the session or this tail knows that the offset exists. */
  #isFinal(fault: Fault): boolean {
    if (this.#options.caller.closing.aborted) return true;
    if (fault.kind !== "out-of-range") return finalKinds.includes(fault.kind);
    const isTrimmed = fault.facts.lowest !== undefined && fault.facts.lowest > this.#next;
    return isTrimmed || (this.#next === this.#from && this.#next > this.#options.knownEnd());
  }

  async #isClosedHere(): Promise<boolean> {
    const { log } = this.#options;
    if (log.isDefault) return false;
    return log.isClosedAt(this.#next, this.#askLimits()).catch(() => false); // the next stream tells
  }

  #askLimits() {
    const { clock, callMs } = this.#options;
    return { deadlineMs: clock.monotonicMs() + callMs, signal: this.#stop.signal };
  }

  /** Reads one stream. Returns why it ended; undefined if it was only idle. */
  async #stream(): Promise<Fault | undefined> {
    const { log, caller, clock, idleMs, freshness, filter, until } = this.#options;
    try {
      if (!log.isPinned) await log.pin(this.#askLimits(), "read");
    } catch (reason) {
      return faultOf(reason, "read");
    }
    this.#isFiltered = false;
    this.#isSuspended = false;
    this.#skippedBefore = this.#skipped;
    const request: ConsumeInit = {
      ...freshness(),
      offset: uint64Of("offset", this.#next),
      filter,
      markers: true,
      ...(until === undefined ? {} : { endOffset: uint64Of("until", until) }),
    };
    const options = { caller, clock, idleMs, signal: this.#stop.signal, avoid: this.#avoid };
    const { why, addr } = await readStream(
      options,
      ({ transport, signal }) =>
        createClient(Log, transport).consumeStream(request, signal === undefined ? {} : { signal }),
      (response) => {
        this.#arrived(response);
        return this.#isFull ? new Promise<void>((resolve) => (this.#continueStream = resolve)) : undefined;
      },
    );
    if (why !== "end") return why === "idle" ? undefined : why;
    const isExpected = this.#isSuspended || (until !== undefined && this.#next >= until);
    if (!isExpected && addr !== undefined && !this.#stop.signal.aborted)
      caller.recordFault(addr, streamEnded, this.#avoid);
    return streamEnded;
  }

  #arrived(response: ConsumeResponse): void {
    if (this.#end !== undefined) return;
    const { record, nextOffset } = response;
    if (nextOffset !== undefined) this.#isFiltered = true;
    // An earlier version ignores the filter and sends all records.
    if (!this.#isFiltered) {
      const message = "the node does not know filters: its version is too old";
      throw new Fault("unimplemented", { message });
    }
    this.#avoid.clear();
    if (record !== undefined) {
      const found = recordOf(record);
      if (found.offset < this.#next) return;
      this.#next = found.offset + 1;
      this.#push(found);
    } else if (nextOffset !== undefined) {
      this.#next = Math.max(this.#next, numberOf(nextOffset));
      this.#skipped = this.#skippedBefore + numberOf(response.skipped);
      this.#isSuspended ||= response.suspended;
      this.#push({ next: this.#next, end: numberOf(response.endOffset), skipped: this.#skipped });
    }
  }

  #push(item: Item): void {
    this.#buffer.push(item);
    this.#bufferBytes += bytesOf(item);
    this.#wakeReader?.();
  }
}

function recordOf({
  offset,
  term,
  timestampMs,
  key,
  value,
  headers,
}: NonNullable<ConsumeResponse["record"]>): LogRecord {
  const place = { offset: numberOf(offset), term: numberOf(term), timestampMs: numberOf(timestampMs) };
  return { ...place, key, value, headers };
}

/** About the memory of an item. */
function bytesOf(item: Item): number {
  if (!("value" in item)) return 100;
  let bytes = 100 + item.key.length + item.value.length;
  for (const { key, value } of item.headers) bytes += key.length + value.length;
  return bytes;
}
