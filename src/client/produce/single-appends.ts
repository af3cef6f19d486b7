/**
 * Appends that cannot share a batch with others: those with an expected offset, a producer stamp, a trace, or the
 * request not to be forwarded. Each is one call. The appends of one producer are sent one after the other, in the order
 * of the calls.
 *
 * A write with an unknown outcome is retried only if it has a stamp, so that the node recognizes the duplicate, and if the
 * id of its log is known, so that it cannot reach another log of the same name.
 */
import { createClient } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import { Log } from "../../gen/log/v1/log_pb.js";
import type { Appended, AppendOptions, RecordRun } from "../../types.ts";
import type { CallOptions, RetryingCaller } from "../calls/retrying-caller.ts";
import { rpcOptions } from "../calls/rpc-options.ts";
import type { LogIdentity } from "../logs/log-identity.ts";
import { appendedOf } from "../messages.ts";
import { produceBatchRequest } from "../raw-batches.ts";
import { copyBytes } from "./byte-allocator.ts";

export interface SingleAppendsOptions {
  readonly log: LogIdentity;
  readonly caller: RetryingCaller;
  /** Timeout of one attempt of an append with a stamp, in milliseconds. */
  readonly attemptMs: number;
  /** Bytes of pending appends. A single append may be larger. */
  readonly queueBytesMax: number;
  /** `token`: see Session. */
  readonly onAppended: (appended: Appended, token: string | undefined) => void;
}

/** The header of a write that must not be forwarded to the leader. */
const forwardHeader = "tailrace-forward";

export class SingleAppends {
  readonly #options: SingleAppendsOptions;
  /** The last append of each producer. The next one waits for it. */
  readonly #lastByProducer = new Map<bigint, Promise<unknown>>();
  #pending = 0;
  #pendingBytes = 0;

  constructor(options: SingleAppendsOptions) {
    this.#options = options;
  }

  get isIdle(): boolean {
    return this.#pending === 0;
  }

  /** Appends the run before `deadlineMs`. Its bytes are copied. Rejects with Fault "overloaded" if the queue is full. */
  append(run: RecordRun, options: AppendOptions, deadlineMs: number): Promise<Appended> {
    const { producer } = options;
    const { queueBytesMax } = this.#options;
    if (this.#pendingBytes > 0 && this.#pendingBytes + run.bytes.length > queueBytesMax) {
      const message = `${this.#pendingBytes} bytes are waiting to be appended, the limit is ${queueBytesMax}`;
      return Promise.reject(new Fault("overloaded", { message, facts: { limit: queueBytesMax } }));
    }
    const copy = { bytes: copyBytes(run.bytes), count: run.count };
    const send = (): Promise<Appended> => this.#send(copy, options, deadlineMs);
    this.#pending++;
    this.#pendingBytes += copy.bytes.length;
    const pending = producer === undefined ? send() : this.#afterLast(producer.id, send);
    return pending.finally(() => {
      this.#pending--;
      this.#pendingBytes -= copy.bytes.length;
    });
  }

  /** Resolves when the pending appends of all producers are settled. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#lastByProducer.values());
  }

  /** Starts `work` when the last append of this producer is settled. */
  #afterLast<T>(id: bigint, work: () => Promise<T>): Promise<T> {
    const last = this.#lastByProducer.get(id) ?? Promise.resolve();
    const done = last.then(work, work);
    this.#lastByProducer.set(id, done);
    const removeEntry = (): void => {
      if (this.#lastByProducer.get(id) === done) this.#lastByProducer.delete(id);
    };
    done.then(removeEntry, removeEntry);
    return done;
  }

  async #send(run: RecordRun, options: AppendOptions, deadlineMs: number): Promise<Appended> {
    const { producer, expectedOffset } = options;
    const { log, caller, attemptMs, onAppended } = this.#options;
    const isStamped = producer !== undefined;
    if (!log.isPinned) await log.pin({ deadlineMs, attemptMs }, "append");
    const call: CallOptions = {
      purpose: "append",
      effect: "write",
      deadlineMs,
      repeatable: isStamped && log.isPinned,
      attemptMs: isStamped ? attemptMs : undefined,
    };
    const request = produceBatchRequest(run, producer, expectedOffset, log.stated);
    const { appended, token } = await caller.call(call, async (attempt) => {
      const response = await createClient(Log, attempt.transport).produceBatch(request, {
        ...rpcOptions(attempt),
        headers: headersOf(options),
      });
      log.learn(response.logId);
      return { appended: appendedOf(response, run.count), token: response.token };
    });
    onAppended(appended, token);
    return appended;
  }
}

/** The request headers that carry the options of a write. */
export function headersOf({ forward, traceparent }: AppendOptions): Record<string, string> {
  return {
    ...(forward === false ? { [forwardHeader]: "no" } : {}),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}
