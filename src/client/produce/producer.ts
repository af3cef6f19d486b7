/**
 * Appends records in batches. The batcher decides what to send and when; the producer makes the calls, keeps the timer
 * and settles the promises.
 */
import { createClient } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import { Log } from "../../gen/log/v1/log_pb.js";
import type { Prng } from "../../lib/prng.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { Appended, RecordRun } from "../../types.ts";
import { type BackoffSettings, backoffMs } from "../calls/backoff.ts";
import { checkDeadline } from "../calls/check-deadline.ts";
import { faultOf, retryDelayOf } from "../calls/fault-of.ts";
import type { RetryingCaller } from "../calls/retrying-caller.ts";
import { rpcOptions } from "../calls/rpc-options.ts";
import type { LogIdentity } from "../logs/log-identity.ts";
import { appendedOf } from "../messages.ts";
import { optionsOf, signalOf } from "../options.ts";
import { produceBatchRequest } from "../raw-batches.ts";
import { encodeInScratch } from "../record-codec.ts";
import { Batcher } from "./batcher.ts";
import type { Batch, BatcherSettings } from "./batcher-types.ts";
import type { BytesLike, NewRecord } from "./new-record.ts";
import { checkSize, validateRun } from "./validate-run.ts";

export interface ProducerOptions {
  readonly log: LogIdentity;
  readonly caller: RetryingCaller;
  readonly clock: Clock;
  readonly chance: Prng;
  readonly backoff: BackoffSettings;
  /** Timeout of one attempt of a batch with a stamp, in milliseconds. */
  readonly attemptMs: number;
  readonly batches: BatcherSettings;
  /** `token`: see Session. */
  readonly onAppended: (appended: Appended, token: string | undefined) => void;
  readonly onClosed?: (producer: Producer) => void;
}

export interface SendOptions {
  /**
   * Aborts the send. Default: none. A record that has not been sent is not appended, and the promise rejects with the
   * reason of the signal. If it is in flight, the promise rejects with Fault "canceled", written "unknown", with the
   * reason as its cause.
   */
  readonly signal?: AbortSignal | undefined;
}

class Ticket {
  readonly promise: Promise<Appended>;
  resolve!: (appended: Appended) => void;
  reject!: (reason: unknown) => void;
  state: "queued" | "sent" | "canceled" = "queued";

  constructor() {
    created = this;
    this.promise = new Promise(setCreated);
  }
}

/** The ticket that is being created: one function for all promises, because a closure for each costs memory. */
let created: Ticket;

function setCreated(resolve: (appended: Appended) => void, reject: (reason: unknown) => void): void {
  created.resolve = resolve;
  created.reject = reject;
}

export class Producer implements AsyncDisposable {
  readonly #options: ProducerOptions;
  readonly #batcher: Batcher<Ticket>;
  #timer: Timer | undefined;
  #isPumpScheduled = false;
  #isClosed = false;
  /** The promises of room() and flush(). */
  #waiters: { readonly isDone: () => boolean; readonly resolve: () => void }[] = [];

  constructor(options: ProducerOptions) {
    this.#options = options;
    this.#batcher = new Batcher(options.batches, ({ state }) => state === "canceled");
  }

  /** The current epoch. The producer increases it to fence a write that may still be under way. */
  get epoch(): number {
    return this.#batcher.epoch;
  }

  /** Bytes that are queued or in flight. */
  get bytes(): number {
    return this.#batcher.bytes;
  }

  /**
   * Appends one record. Resolves with its offset when it is durable. The log has the order of the calls.
   *
   * A rejected send has no effect on the others.
   * @throws Fault "bad-record" for a value that is not a record, "overloaded" if the queue is full (wait for room() first),
   *   the reason of the signal, and the Fault of an append that failed
   */
  send(record: NewRecord | BytesLike, options?: SendOptions): Promise<Appended> {
    try {
      const signal = options === undefined ? undefined : signalOf(optionsOf(options).signal);
      return this.#add(encodeInScratch(record), undefined, signal);
    } catch (fault) {
      return Promise.reject(fault);
    }
  }

  /**
   * Appends a run as a whole. The application may reuse its bytes at once. `deadlineMs` is a time of the monotonic clock
   * (`performance.now()`) after which the run is not tried again. Default: `deliveryMs` from now.
   */
  append(run: RecordRun, deadlineMs?: number): Promise<Appended> {
    try {
      validateRun(run);
      return this.#add(run, deadlineMs);
    } catch (fault) {
      return Promise.reject(fault);
    }
  }

  /** Resolves when the queue has room for `bytes` more (default 0), or when the producer is closed. */
  room(bytes = 0): Promise<void> {
    return this.#until(() => this.#isClosed || this.#batcher.hasRoom(bytes));
  }

  /** Sends everything that is queued without lingering. Resolves when every append has succeeded or failed. */
  flush(): Promise<void> {
    this.#batcher.flush();
    this.#pumpSoon();
    return this.#until(() => this.#batcher.isIdle);
  }

  /** Fails everything that is pending with `fault` (default "canceled"). Appends in flight have an unknown outcome. */
  close(fault = new Fault("canceled", { message: "the producer is closed" })): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#batcher.fail(fault);
    this.#pump();
    this.#options.onClosed?.(this);
  }

  /** Waits until everything is settled, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
    this.close();
  }

  /** The bytes of the run are copied. @throws the Fault of a run that cannot be added */
  #add(run: RecordRun, deadlineMs?: number, signal?: AbortSignal): Promise<Appended> {
    signal?.throwIfAborted();
    checkSize(run);
    const { clock } = this.#options;
    const expiresAt = deadlineMs === undefined ? undefined : checkDeadline(clock, deadlineMs);
    const ticket = new Ticket();
    this.#batcher.add(run, ticket, clock.monotonicMs(), expiresAt);
    if (signal !== undefined) abortWith(ticket, signal);
    this.#pumpSoon();
    return ticket.promise;
  }

  #until(isDone: () => boolean): Promise<void> {
    if (isDone()) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ isDone, resolve }));
  }

  /** Runs after this turn of the event loop, so that the runs of one turn share a batch. */
  #pumpSoon(): void {
    if (this.#isPumpScheduled) return;
    this.#isPumpScheduled = true;
    this.#options.clock.soon(() => {
      this.#isPumpScheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    const { clock } = this.#options;
    const nowMs = clock.monotonicMs();
    for (let batch = this.#batcher.next(nowMs); batch !== undefined; batch = this.#batcher.next(nowMs)) {
      this.#send(batch);
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

  #send(batch: Batch<Ticket>): void {
    for (const { ticket } of batch.items) ticket.state = "sent";
    const { clock, backoff, chance, onAppended } = this.#options;
    // Without the id of the log, a repeated batch could reach another log of the same name.
    let mayRepeat = true;
    this.#attempt(batch, () => (mayRepeat = false))
      .then(
        ({ appended, token }) => {
          if (!this.#batcher.owns(batch)) return;
          onAppended(appended, token);
          this.#batcher.acked(batch, appended);
        },
        (reason) => {
          if (!this.#batcher.owns(batch)) return;
          const fault = faultOf(reason);
          const waitMs = backoffMs(backoff, batch.attempts, chance, retryDelayOf(fault));
          this.#batcher.failed(batch, fault, clock.monotonicMs() + waitMs, mayRepeat);
        },
      )
      .finally(() => this.#pump());
  }

  async #attempt(
    batch: Batch<Ticket>,
    onUnpinned: () => void,
  ): Promise<{ readonly appended: Appended; readonly token: string | undefined }> {
    const { log, caller, attemptMs } = this.#options;
    const { expiresAt: deadlineMs } = batch;
    if (!log.isPinned) await log.pin({ deadlineMs, attemptMs }, "append");
    if (!log.isPinned) onUnpinned();
    const options = {
      purpose: "append",
      effect: "write",
      deadlineMs,
      // If a retry is safe, one silent node must not use up the whole time.
      attemptMs: batch.stamp === undefined ? undefined : attemptMs,
    } as const;
    return caller.attempt(options, async (attempt) => {
      const request = produceBatchRequest(batch.run, batch.stamp, undefined, log.stated);
      const response = await createClient(Log, attempt.transport).produceBatch(request, rpcOptions(attempt));
      log.learn(response.logId);
      return { appended: appendedOf(response, batch.run.count), token: response.token };
    });
  }
}

/** Rejects the ticket when the signal is aborted before the append is settled. */
function abortWith(ticket: Ticket, signal: AbortSignal): void {
  const { resolve, reject } = ticket;
  const onAbort = (): void => {
    if (ticket.state === "queued") {
      ticket.state = "canceled";
      reject(signal.reason);
    } else {
      const message = "the send was aborted while it was in flight";
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
