/**
 * The commit log of a far cluster. Appends go to the leader, reads to the followers in turn; both find another node
 * when one fails. It is one session: a read sees at least what this client was acknowledged or has seen before.
 *
 * Appends without conditions travel together, one batch at a time, in the order of the calls. Those of one producer
 * stamp keep their order as well; a conditional one goes by itself.
 *
 * Never: repeats a write that may have happened, unless its producer's sequence makes that harmless.
 */
import { createClient } from "@connectrpc/connect";
import { Fault } from "../fault.ts";
import { Log } from "../gen/log/v1/log_pb.js";
import type { Prng } from "../lib/prng.ts";
import type { Clock } from "../lib/time/clock.ts";
import type {
  Appended,
  AppendOptions,
  BatchSlice,
  Bounds,
  CommitLog,
  Freshness,
  LogDescription,
  Offset,
  ReadStart,
  RecordRun,
  Tail,
} from "../types.ts";
import { checkDeadline } from "./calls/abortable-wait.ts";
import type { BackoffSettings } from "./calls/backoff.ts";
import type { Attempt, CallOptions, RetryingCaller } from "./calls/retrying-caller.ts";
import { readStartOf } from "./consume/read-from.ts";
import { type Crc32, checkBatch } from "./consume/record-batch.ts";
import { RemoteTail } from "./consume/tail.ts";
import type { ClientLimits } from "./limits.ts";
import { appendedOf, descriptionOf, freshnessInit, numberOf, startInit, uint64Of } from "./messages.ts";
import { copyBytes } from "./produce/byte-allocator.ts";
import { callOptions, checkRun, Producer } from "./produce/producer.ts";
import { consumeBatches, frameOf, produceBatchRequest } from "./raw-batches.ts";
import { Session } from "./session.ts";

export interface LogClientOptions {
  readonly caller: RetryingCaller;
  readonly clock: Clock;
  readonly chance: Prng;
  readonly backoff: BackoffSettings;
  readonly crc32: Crc32;
  readonly limits: ClientLimits;
  /** Of reads that do not say; and of all tails. */
  readonly freshness: Freshness;
}

/** The header by which a write asks not to be forwarded to the leader. */
const forwardHeader = "tailrace-forward";

export class LogClient implements CommitLog, AsyncDisposable {
  readonly #options: LogClientOptions;
  readonly #caller: RetryingCaller;
  readonly #session = new Session();
  readonly #plain: Producer;
  /** The last append of each producer, for the next one to wait for. */
  readonly #lanes = new Map<string, Promise<unknown>>();
  readonly #tails = new Set<RemoteTail>();
  /** Of appends with a condition or a stamp; the plain ones count for themselves. */
  #heldBytes = 0;

  constructor(options: LogClientOptions) {
    const { caller, clock, chance, backoff, limits } = options;
    this.#options = options;
    this.#caller = caller;
    this.#plain = new Producer({
      caller,
      clock,
      chance,
      backoff,
      attemptMs: limits.attemptMs,
      batches: {
        recordsMax: 10_000,
        bytesMax: 1024 * 1024,
        lingerMs: 0,
        inFlightMax: 1,
        queueBytesMax: limits.queueBytesMax,
        deliveryMs: limits.callMs,
      },
      onAppended: (appended) => this.#session.appended(appended),
    });
  }

  /** What this client has seen or was acknowledged. Producers and readers beside it may share it. */
  get session(): Session {
    return this.#session;
  }

  append(run: RecordRun, options: AppendOptions = {}): Promise<Appended> {
    const { producer, expectedOffset, deadlineMs, forward, traceparent } = options;
    try {
      checkRun(run);
    } catch (fault) {
      return Promise.reject(fault);
    }
    if (producer === undefined && expectedOffset === undefined && forward === undefined && !traceparent) {
      return this.#plain.append(run, deadlineMs);
    }
    const { queueBytesMax } = this.#options.limits;
    if (this.#heldBytes > 0 && this.#heldBytes + run.bytes.length > queueBytesMax) {
      const message = `${this.#heldBytes} bytes wait to be appended, the limit is ${queueBytesMax}`;
      return Promise.reject(new Fault("overloaded", { message, facts: { limit: queueBytesMax } }));
    }
    const copy = { bytes: copyBytes(run.bytes), count: run.count };
    const append = (): Promise<Appended> => this.#appendAlone(copy, options);
    this.#heldBytes += copy.bytes.length;
    const appending = producer === undefined ? append() : this.#inLane(`${producer.id}`, append);
    return appending.finally(() => {
      this.#heldBytes -= copy.bytes.length;
    });
  }

  async read(offset: Offset, freshness: Freshness = {}): Promise<BatchSlice> {
    for (let round = 0; ; round++) {
      const slice = await this.#read(freshness, (attempt) => this.#readBatch(attempt, offset, freshness));
      if (slice !== undefined) {
        this.#session.saw(slice.nextOffset);
        return slice;
      }
      // There is nothing: let the node say so, with its bounds. Should a record have come meanwhile, read it.
      await this.#consume({ offset }, freshness);
      if (round === 3) throw new Fault("unavailable", { message: "the node contradicts itself" });
    }
  }

  async bounds(freshness: Freshness = {}): Promise<Bounds> {
    const { mode = "session", seenOffset } = { ...this.#options.freshness, ...freshness };
    const mustSee = mode === "session" ? Math.max(seenOffset ?? -1, this.#session.next - 1) : -1;
    return this.#read(freshness, async (attempt) => {
      const { transport, signal, timeoutMs } = attempt;
      const client = createClient(Log, transport);
      const describe = async (): Promise<Bounds> => {
        const { lowestOffset, nextOffset } = await client.describe({}, callOptions(signal, timeoutMs));
        return { lowest: numberOf(lowestOffset), next: numberOf(nextOffset) };
      };
      if (mode === "any" || mode === "session") {
        const bounds = await describe();
        if (bounds.next > mustSee) return bounds;
      }
      await this.#endOn(attempt, freshness);
      return describe();
    });
  }

  async seek(from: ReadStart, freshness: Freshness = {}): Promise<Offset> {
    const start = readStartOf(from);
    if ("end" in start || ("last" in start && start.last === 0)) {
      return this.#read(freshness, (attempt) => this.#endOn(attempt, freshness));
    }
    try {
      return await this.#consume(start, freshness);
    } catch (reason) {
      const { kind, facts } = Fault.from(reason);
      const { lowest, next } = facts;
      if (kind !== "out-of-range" || next === undefined || lowest === undefined) throw reason;
      if (!("offset" in start)) return next;
      if (start.offset < lowest) throw reason;
      return start.offset;
    }
  }

  follow(offset: Offset): Tail {
    const { limits, clock, chance, backoff, crc32 } = this.#options;
    const tail = new RemoteTail(offset, {
      caller: this.#caller,
      clock,
      chance,
      backoff,
      crc32,
      bufferBytesMax: limits.tailBytesMax,
      resumeMs: limits.resumeMs,
      idleMs: limits.tailIdleMs,
      freshness: () => this.#freshnessInit({}),
      knownEnd: () => this.#session.next,
      onSeen: (next) => this.#session.saw(next),
      onClosed: (closed) => this.#tails.delete(closed),
    });
    this.#tails.add(tail);
    return tail;
  }

  async trim(before: Offset, options: AppendOptions = {}): Promise<Offset> {
    const call = { ...this.#writeCall(options), repeatable: true }; // a second time does nothing
    return this.#caller.call(call, async ({ transport, signal, timeoutMs }) => {
      const request = { beforeOffset: uint64Of("before", before) };
      const { lowestOffset } = await createClient(Log, transport).trim(request, {
        ...callOptions(signal, timeoutMs),
        headers: headersOf(options),
      });
      return numberOf(lowestOffset);
    });
  }

  describe(): Promise<LogDescription> {
    return this.#read({}, async ({ transport, signal, timeoutMs }) =>
      descriptionOf(await createClient(Log, transport).describe({}, callOptions(signal, timeoutMs))),
    );
  }

  /** Waits for the appends that were made, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#plain.flush();
    await Promise.allSettled(this.#lanes.values());
    this.close();
  }

  /** Ends everything at once: tails, waiting appends, what is under way. */
  close(): void {
    for (const tail of this.#tails) tail[Symbol.dispose]();
    this.#plain.close();
  }

  /** One after the other for one producer, each once the one before is settled. */
  #inLane<T>(lane: string, work: () => Promise<T>): Promise<T> {
    const before = this.#lanes.get(lane) ?? Promise.resolve();
    const done = before.then(work, work);
    this.#lanes.set(lane, done);
    const end = (): void => {
      if (this.#lanes.get(lane) === done) this.#lanes.delete(lane);
    };
    done.then(end, end);
    return done;
  }

  async #appendAlone(run: RecordRun, options: AppendOptions): Promise<Appended> {
    const { producer, expectedOffset } = options;
    const isStamped = producer !== undefined;
    const call = {
      ...this.#writeCall(options),
      repeatable: isStamped,
      attemptMs: isStamped ? this.#options.limits.attemptMs : undefined,
    };
    const request = produceBatchRequest(run, producer, expectedOffset);
    const appended = await this.#caller.call(call, async ({ transport, signal, timeoutMs }) => {
      const answer = await createClient(Log, transport).produceBatch(request, {
        ...callOptions(signal, timeoutMs),
        headers: headersOf(options),
      });
      return appendedOf(answer, run.count);
    });
    this.#session.appended(appended);
    return appended;
  }

  #writeCall({ deadlineMs }: AppendOptions): CallOptions {
    const { clock, limits } = this.#options;
    return {
      purpose: "append",
      effect: "write",
      deadlineMs: checkDeadline(clock, deadlineMs ?? clock.monotonicMs() + limits.callMs),
    };
  }

  #read<T>(freshness: Freshness, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    const { clock, limits } = this.#options;
    const options: CallOptions = {
      purpose: "read",
      effect: "read",
      deadlineMs: checkDeadline(clock, freshness.deadlineMs ?? clock.monotonicMs() + limits.callMs),
      attemptMs: limits.attemptMs,
      signal: freshness.signal,
    };
    return this.#caller.call(options, work);
  }

  #freshnessInit(freshness: Freshness): ReturnType<typeof freshnessInit> {
    const { next } = this.#session;
    return freshnessInit({ ...this.#options.freshness, ...freshness }, next === 0 ? undefined : next - 1);
  }

  /** The first batch from `offset` on, or undefined at the end. */
  async #readBatch(
    { transport, signal, timeoutMs }: Attempt,
    offset: Offset,
    freshness: Freshness,
  ): Promise<BatchSlice | undefined> {
    const enough = new AbortController();
    const both = signal === undefined ? enough.signal : AbortSignal.any([signal, enough.signal]);
    const request = {
      ...startInit({ offset }),
      ...this.#freshnessInit(freshness),
      maxRecords: 1n,
      stopAtEnd: true,
    };
    const once = async function* () {
      yield request;
    };
    try {
      const answer = await transport.stream(consumeBatches, both, timeoutMs, undefined, once());
      for await (const message of answer.message) {
        const slice = checkBatch(frameOf(message), this.#options.crc32);
        if (slice.nextOffset > offset && slice.firstOffset <= offset) return slice;
      }
      return undefined;
    } finally {
      enough.abort();
    }
  }

  /** The offset of the record that Consume answers. */
  #consume(start: ReadStart, freshness: Freshness): Promise<Offset> {
    return this.#read(freshness, async ({ transport, signal, timeoutMs }) => {
      const request = { ...startInit(start), ...this.#freshnessInit(freshness) };
      const { record } = await createClient(Log, transport).consume(request, callOptions(signal, timeoutMs));
      if (record === undefined) throw new Fault("unimplemented", { message: "the node answered no record" });
      return numberOf(record.offset);
    });
  }

  /** The end of the log on this node, once it is as fresh as asked for. */
  async #endOn({ transport, signal, timeoutMs }: Attempt, freshness: Freshness): Promise<Offset> {
    const request = {
      ...startInit({ end: true }),
      ...this.#freshnessInit(freshness),
      stopAtEnd: true,
      markers: true,
    };
    const client = createClient(Log, transport);
    let end: Offset | undefined;
    for await (const answer of client.consumeStream(request, callOptions(signal, timeoutMs))) {
      if (answer.caughtUp) end = numberOf(answer.endOffset); // read on: the stream is freed when it has ended
    }
    if (end === undefined) throw new Fault("unimplemented", { message: "the node did not mark the end" });
    return end;
  }
}

function headersOf({ forward, traceparent }: AppendOptions): Record<string, string> {
  return {
    ...(forward === false ? { [forwardHeader]: "no" } : {}),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}
