/**
 * Appends in batches: what the batcher decides, done over the wire. Runs wait until their batch is durable.
 *
 * Never: decides what to send or to repeat (the batcher does), holds more than its limit.
 */
import { createClient } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import { Log } from "../../gen/log/v1/log_pb.js";
import type { Prng } from "../../lib/prng.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { Appended, RecordRun } from "../../types.ts";
import { checkDeadline } from "../calls/abortable-wait.ts";
import { type BackoffSettings, backoffMs } from "../calls/backoff.ts";
import { faultOf, retryDelayOf } from "../calls/fault-of.ts";
import type { RetryingCaller } from "../calls/retrying-caller.ts";
import { runBytesMax } from "../limits.ts";
import { appendedOf } from "../messages.ts";
import { optionsOf, signalOf } from "../options.ts";
import { produceBatchRequest } from "../raw-batches.ts";
import { encodeRun } from "../record-codec.ts";
import { Batcher } from "./batcher.ts";
import type { Batch, BatcherSettings } from "./batcher-types.ts";
import { copyBytes } from "./byte-allocator.ts";
import type { BytesLike, NewRecord } from "./new-record.ts";

export interface ProducerOptions {
  readonly caller: RetryingCaller;
  readonly clock: Clock;
  readonly chance: Prng;
  readonly backoff: BackoffSettings;
  /** The longest that one attempt may take, milliseconds. */
  readonly attemptMs: number;
  readonly batches: BatcherSettings;
  readonly onAppended: (appended: Appended) => void;
  readonly onClosed?: (producer: Producer) => void;
}

export interface SendOptions {
  /**
   * Aborts the send. A record that was not sent yet is not appended, and the promise rejects with the signal's reason.
   * One that is under way cannot be called back: the promise rejects with Fault "canceled", written "unknown", whose
   * cause is the reason.
   */
  readonly signal?: AbortSignal | undefined;
}

interface Ticket {
  resolve(appended: Appended): void;
  reject(reason: unknown): void;
  state: "queued" | "sent" | "canceled";
}

export class Producer implements AsyncDisposable {
  readonly #options: ProducerOptions;
  readonly #batcher: Batcher<Ticket>;
  #timer: Timer | undefined;
  #isDue = false;
  #isClosed = false;
  /** Who waits for room, or for everything to be settled. */
  #waiters: { readonly isDone: () => boolean; readonly resolve: () => void }[] = [];

  constructor(options: ProducerOptions) {
    this.#options = options;
    this.#batcher = new Batcher(options.batches, ({ state }) => state === "canceled");
  }

  /** The epoch in use. It is raised when what may be under way must be fenced. */
  get epoch(): number {
    return this.#batcher.epoch;
  }

  /** Bytes that are held: waiting or under way. */
  get bytes(): number {
    return this.#batcher.bytes;
  }

  /**
   * Appends one record; resolves when it is durable, with its offset. Appends land in the order of the calls.
   *
   * Rejects with Fault "bad-record" for what is no record, and with "overloaded" when the queue is full: await room()
   * first. No other send is affected.
   */
  async send(record: NewRecord | BytesLike, options: SendOptions = {}): Promise<Appended> {
    return this.#add(encodeRun([record]), undefined, signalOf(optionsOf(options).signal));
  }

  /**
   * Appends a run as a whole; the caller may reuse its bytes at once. `deadlineMs` is a point on the monotonic clock
   * (`performance.now()`): after it the run is not tried any more.
   */
  append(run: RecordRun, deadlineMs?: number): Promise<Appended> {
    return this.#add({ bytes: copyBytes(run.bytes), count: run.count }, deadlineMs);
  }

  /** Resolves when there is room for so many bytes more, or when nothing will make room any more. */
  room(bytes = 0): Promise<void> {
    return this.#until(() => this.#isClosed || this.#batcher.hasRoom(bytes));
  }

  /** Sends what waits, and resolves when everything is settled, well or not. */
  flush(): Promise<void> {
    this.#batcher.flush();
    this.#pumpSoon();
    return this.#until(() => this.#batcher.isIdle);
  }

  /** Fails what is held; what is under way as unknown. */
  close(fault = new Fault("canceled", { message: "the producer is closed" })): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#batcher.fail(fault);
    this.#pump();
    this.#options.onClosed?.(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
    this.close();
  }

  #add(run: RecordRun, deadlineMs?: number, signal?: AbortSignal): Promise<Appended> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      checkRun(run);
      const { clock } = this.#options;
      const nowMs = clock.monotonicMs();
      const expiresAt = deadlineMs === undefined ? undefined : checkDeadline(clock, deadlineMs);
      const ticket: Ticket = { resolve, reject, state: "queued" };
      this.#batcher.add(run, ticket, nowMs, expiresAt);
      if (signal !== undefined) abortWith(ticket, signal);
      this.#pumpSoon();
    });
  }

  #until(isDone: () => boolean): Promise<void> {
    if (isDone()) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ isDone, resolve }));
  }

  /** After this turn of the event loop, so that what one turn adds goes out together. */
  #pumpSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#options.clock.soon(() => {
      this.#isDue = false;
      this.#pump();
    });
  }

  #pump(): void {
    const { clock } = this.#options;
    const nowMs = clock.monotonicMs();
    for (let batch = this.#batcher.next(nowMs); batch !== undefined; batch = this.#batcher.next(nowMs)) {
      this.#fly(batch);
    }
    for (const outcome of this.#batcher.takeOutcomes()) {
      if ("fault" in outcome) outcome.ticket.reject(outcome.fault);
      else outcome.ticket.resolve(outcome.appended);
    }
    this.#timer?.cancel();
    const wakeAt = this.#batcher.wakeAt();
    this.#timer =
      wakeAt === undefined || wakeAt === Number.POSITIVE_INFINITY
        ? undefined
        : clock.after(Math.max(0, wakeAt - nowMs), () => this.#pump(), true);
    const done = this.#waiters.filter(({ isDone }) => isDone());
    if (done.length > 0) this.#waiters = this.#waiters.filter((waiter) => !done.includes(waiter));
    for (const { resolve } of done) resolve();
  }

  #fly(batch: Batch<Ticket>): void {
    for (const { ticket } of batch.items) ticket.state = "sent";
    const { clock, backoff, chance, onAppended } = this.#options;
    this.#attempt(batch)
      .then(
        (appended) => {
          if (!this.#batcher.owns(batch)) return;
          onAppended(appended);
          this.#batcher.acked(batch, appended);
        },
        (reason) => {
          if (!this.#batcher.owns(batch)) return;
          const fault = faultOf(reason);
          const waitMs = backoffMs(backoff, batch.attempts, chance, retryDelayOf(fault));
          this.#batcher.failed(batch, fault, clock.monotonicMs() + waitMs);
        },
      )
      .finally(() => this.#pump());
  }

  #attempt(batch: Batch<Ticket>): Promise<Appended> {
    const { caller, attemptMs } = this.#options;
    const options = {
      purpose: "append",
      effect: "write",
      deadlineMs: batch.expiresAt,
      // Where a repetition is harmless, do not let one silent node use up the time.
      attemptMs: batch.stamp === undefined ? undefined : attemptMs,
    } as const;
    return caller.attempt(options, async ({ transport, signal, timeoutMs }) => {
      const request = produceBatchRequest(joined(batch), batch.stamp, undefined);
      const answer = await createClient(Log, transport).produceBatch(request, callOptions(signal, timeoutMs));
      return appendedOf(answer, batch.count);
    });
  }
}

/** Rejects the ticket when the signal is aborted, until it is settled. */
function abortWith(ticket: Ticket, signal: AbortSignal): void {
  const { resolve, reject } = ticket;
  const onAbort = (): void => {
    if (ticket.state === "queued") {
      ticket.state = "canceled";
      reject(signal.reason);
    } else {
      const message = "the send was aborted while it was under way";
      reject(new Fault("canceled", { message, written: "unknown", cause: signal.reason }));
    }
  };
  signal.addEventListener("abort", onAbort, { once: true });
  const settled = (): void => signal.removeEventListener("abort", onAbort);
  ticket.resolve = (appended) => {
    settled();
    resolve(appended);
  };
  ticket.reject = (reason) => {
    settled();
    reject(reason);
  };
}

/** Throws Fault "bad-request" for an empty run, "too-large" for one that no message can hold. */
export function checkRun(run: RecordRun): void {
  const { bytes, count }: Partial<RecordRun> = run ?? {};
  if (!(bytes instanceof Uint8Array) || !Number.isSafeInteger(count)) {
    throw new Fault("bad-request", {
      message: "a run is { bytes, count } as encodeRun() makes it",
      facts: { field: "records" },
    });
  }
  if (run.count === 0) {
    throw new Fault("bad-request", { message: "there are no records", facts: { field: "records" } });
  }
  const { length } = run.bytes;
  if (length <= runBytesMax) return;
  throw new Fault("too-large", {
    message: `${length} bytes of records, at most ${runBytesMax} can be appended at once`,
    facts: { limit: runBytesMax, found: length },
  });
}

export function callOptions(
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
): { signal?: AbortSignal; timeoutMs?: number } {
  return { ...(signal === undefined ? {} : { signal }), ...(timeoutMs === undefined ? {} : { timeoutMs }) };
}

function joined(batch: Batch<Ticket>): RecordRun {
  if (batch.items.length === 1) return batch.items[0]!.run;
  const bytes = new Uint8Array(batch.bytes);
  let at = 0;
  for (const { run } of batch.items) {
    bytes.set(run.bytes, at);
    at += run.bytes.length;
  }
  return { bytes, count: batch.count };
}
