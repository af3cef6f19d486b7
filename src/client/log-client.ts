/**
 * The commit log of a cluster. Appends go to the leader, reads to the followers in turn. Both use another node if one
 * fails. A LogClient is one session: by default a read sees at least what this client has appended or read before.
 *
 * Appends without conditions are batched, one batch in flight, in the order of the calls. All others are sent one by
 * one (single-appends.ts).
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
import type { BackoffSettings } from "./calls/backoff.ts";
import { checkDeadline } from "./calls/check-deadline.ts";
import type { Attempt, CallOptions, RetryingCaller } from "./calls/retrying-caller.ts";
import { rpcOptions } from "./calls/rpc-options.ts";
import { boundsOf, describeLog, endOffset, firstOffsetFrom, readBatch } from "./consume/read-calls.ts";
import { readStartOf } from "./consume/read-from.ts";
import type { Crc32 } from "./consume/record-batch.ts";
import { RemoteTail } from "./consume/tail.ts";
import type { ClientLimits } from "./limits.ts";
import { type ConsumeInit, freshnessInit, numberOf, uint64Of } from "./messages.ts";
import { Producer } from "./produce/producer.ts";
import { headersOf, SingleAppends } from "./produce/single-appends.ts";
import { validateRun } from "./produce/validate-run.ts";
import { Session } from "./session.ts";

export interface LogClientOptions {
  readonly caller: RetryingCaller;
  readonly clock: Clock;
  readonly chance: Prng;
  readonly backoff: BackoffSettings;
  readonly crc32: Crc32;
  readonly limits: ClientLimits;
  /** Freshness of reads that do not specify one, and of all tails. */
  readonly freshness: Freshness;
}

/** A read is repeated so often if a node reports a record at the offset but does not send it. */
const contradictionsMax = 4;

export class LogClient implements CommitLog, AsyncDisposable {
  readonly #options: LogClientOptions;
  readonly #caller: RetryingCaller;
  readonly #session = new Session();
  readonly #producer: Producer;
  readonly #singleAppends: SingleAppends;
  readonly #tails = new Set<RemoteTail>();

  constructor(options: LogClientOptions) {
    const { caller, clock, chance, backoff, limits } = options;
    const { attemptMs, queueBytesMax, callMs } = limits;
    const onAppended = (appended: Appended): void => this.#session.appended(appended);
    this.#options = options;
    this.#caller = caller;
    this.#singleAppends = new SingleAppends({ caller, attemptMs, queueBytesMax, onAppended });
    this.#producer = new Producer({
      caller,
      clock,
      chance,
      backoff,
      attemptMs,
      batches: {
        recordsMax: 10_000,
        bytesMax: 1024 * 1024,
        lingerMs: 0,
        inFlightMax: 1,
        queueBytesMax,
        deliveryMs: callMs,
      },
      onAppended,
    });
  }

  /** What this client has appended or read. The producers of the same client update it, too. */
  get session(): Session {
    return this.#session;
  }

  append(run: RecordRun, options: AppendOptions = {}): Promise<Appended> {
    const { producer, expectedOffset, deadlineMs, forward, traceparent } = options;
    try {
      validateRun(run);
      if (producer === undefined && expectedOffset === undefined && forward === undefined && !traceparent) {
        return this.#producer.append(run, deadlineMs);
      }
      return this.#singleAppends.append(run, options, this.#deadlineOf(deadlineMs));
    } catch (fault) {
      return Promise.reject(fault);
    }
  }

  async read(offset: Offset, freshness: Freshness = {}): Promise<BatchSlice> {
    const { crc32 } = this.#options;
    for (let round = 0; round < contradictionsMax; round++) {
      const slice = await this.#read(freshness, (attempt) =>
        readBatch(attempt, offset, this.#freshnessInit(freshness), crc32),
      );
      if (slice !== undefined) {
        this.#session.observed(slice.nextOffset);
        return slice;
      }
      // The offset is not in the log: this call fails with the bounds. It succeeds if a record was appended meanwhile.
      await this.#firstOffsetFrom({ offset }, freshness);
    }
    throw new Fault("unavailable", {
      message: `the node has a record at offset ${offset} but does not send it`,
    });
  }

  async bounds(freshness: Freshness = {}): Promise<Bounds> {
    const { mode = "session", seenOffset } = { ...this.#options.freshness, ...freshness };
    const mustSee = mode === "session" ? Math.max(seenOffset ?? -1, this.#session.next - 1) : -1;
    return this.#read(freshness, async (attempt) => {
      if (mode === "any" || mode === "session") {
        const bounds = await boundsOf(attempt);
        if (bounds.next > mustSee) return bounds;
      }
      await endOffset(attempt, this.#freshnessInit(freshness)); // waits until the node is fresh enough
      return boundsOf(attempt);
    });
  }

  async seek(from: ReadStart, freshness: Freshness = {}): Promise<Offset> {
    const start = readStartOf(from);
    if ("end" in start || ("last" in start && start.last === 0)) {
      return this.#read(freshness, (attempt) => endOffset(attempt, this.#freshnessInit(freshness)));
    }
    try {
      return await this.#firstOffsetFrom(start, freshness);
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
      freshness: (next) => this.#freshnessInit({}, next),
      knownEnd: () => this.#session.next,
      onRead: (next) => this.#session.observed(next),
      onClosed: (closed) => this.#tails.delete(closed),
    });
    this.#tails.add(tail);
    return tail;
  }

  async trim(before: Offset, options: AppendOptions = {}): Promise<Offset> {
    const call: CallOptions = {
      purpose: "append",
      effect: "write",
      deadlineMs: this.#deadlineOf(options.deadlineMs),
      repeatable: true, // a second trim has no effect
    };
    return this.#caller.call(call, async (attempt) => {
      const request = { beforeOffset: uint64Of("before", before) };
      const { lowestOffset } = await createClient(Log, attempt.transport).trim(request, {
        ...rpcOptions(attempt),
        headers: headersOf(options),
      });
      return numberOf(lowestOffset);
    });
  }

  describe(): Promise<LogDescription> {
    return this.#read({}, describeLog);
  }

  /** Waits until all pending appends are settled, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer.flush();
    await this.#singleAppends.settled();
    this.close();
  }

  /** Closes the tails and the producer at once. Pending batched appends fail. */
  close(): void {
    for (const tail of this.#tails) tail[Symbol.dispose]();
    this.#producer.close();
  }

  #deadlineOf(deadlineMs: number | undefined): number {
    const { clock, limits } = this.#options;
    return checkDeadline(clock, deadlineMs ?? clock.monotonicMs() + limits.callMs);
  }

  #read<T>(freshness: Freshness, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    const options: CallOptions = {
      purpose: "read",
      effect: "read",
      deadlineMs: this.#deadlineOf(freshness.deadlineMs),
      attemptMs: this.#options.limits.attemptMs,
      signal: freshness.signal,
    };
    return this.#caller.call(options, work);
  }

  #firstOffsetFrom(start: ReadStart, freshness: Freshness): Promise<Offset> {
    return this.#read(freshness, (attempt) =>
      firstOffsetFrom(attempt, start, this.#freshnessInit(freshness)),
    );
  }

  /** `known`: everything before it is committed, besides what the session knows. */
  #freshnessInit(freshness: Freshness, known: Offset = 0): ConsumeInit {
    const next = Math.max(this.#session.next, known);
    return freshnessInit({ ...this.#options.freshness, ...freshness }, next === 0 ? undefined : next - 1);
  }
}
