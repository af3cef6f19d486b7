/**
 * A commit log of a cluster: `default` or a named log. Appends go to the leader, reads to the followers in turn. Both use another node if one
 * fails. A LogClient is one session: by default a read sees at least what it has appended or read before.
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
import { callFreshness } from "./call-freshness.ts";
import type { BackoffSettings } from "./calls/backoff.ts";
import { checkDeadline } from "./calls/check-deadline.ts";
import type { Attempt, CallOptions, RetryingCaller } from "./calls/retrying-caller.ts";
import { rpcOptions } from "./calls/rpc-options.ts";
import { consume } from "./consume/consume.ts";
import { FilteredTail } from "./consume/filtered-tail.ts";
import { boundsOf, describeLog, endOffset, firstOffsetFrom, readBatch } from "./consume/read-calls.ts";
import { readStartOf } from "./consume/read-from.ts";
import { type Crc32, indexOf, type LogRecord } from "./consume/record-batch.ts";
import { RemoteTail } from "./consume/tail.ts";
import { type CursorConsumeOptions, consumeCursor } from "./cursors/consume-cursor.ts";
import { LogCursor } from "./cursors/log-cursor.ts";
import type { ClientLimits } from "./limits.ts";
import type { LogIdentity, StatedLog } from "./logs/log-identity.ts";
import { type ConsumeInit, freshnessInit, numberOf, uint64Of } from "./messages.ts";
import { optionsOf } from "./options.ts";
import type { BytesLike, NewRecord } from "./produce/new-record.ts";
import { type ProduceStreamOptions, produceStream } from "./produce/produce-stream.ts";
import { Producer, type ProducerOptions } from "./produce/producer.ts";
import { batcherSettingsOf, type ProducerSettings } from "./produce/producer-settings.ts";
import { headersOf, SingleAppends } from "./produce/single-appends.ts";
import { validateRun } from "./produce/validate-run.ts";
import { later, Session } from "./session.ts";

export interface LogClientOptions {
  readonly log: LogIdentity;
  readonly caller: RetryingCaller;
  readonly clock: Clock;
  readonly chance: Prng;
  readonly backoff: BackoffSettings;
  readonly crc32: Crc32;
  readonly limits: ClientLimits;
  /** Freshness of reads that do not specify one, and of all tails. */
  readonly freshness: Freshness;
  /** Called before each use of the log. */
  readonly onUse: (log: LogClient) => void;
}

/** A read is repeated so often if a node reports a record at the offset but does not send it. */
const contradictionsMax = 4;

export class LogClient implements CommitLog, AsyncDisposable {
  readonly #options: LogClientOptions;
  readonly #caller: RetryingCaller;
  readonly #session = new Session();
  readonly #onAppended = (appended: Appended, token: string | undefined): void =>
    this.#session.appended(appended, token);
  /** Batches the appends without conditions. */
  readonly #appends: Producer;
  readonly #singleAppends: SingleAppends;
  readonly #producers = new Set<Producer>();
  readonly #tails = new Set<Disposable>();

  constructor(options: LogClientOptions) {
    const { log, caller, limits } = options;
    const { attemptMs, queueBytesMax, callMs } = limits;
    const onAppended = this.#onAppended;
    this.#options = options;
    this.#caller = caller;
    this.#singleAppends = new SingleAppends({ log, caller, attemptMs, queueBytesMax, onAppended });
    const batches = { recordsMax: 10_000, bytesMax: 1024 * 1024, lingerMs: 0, inFlightMax: 1, queueBytesMax };
    this.#appends = this.#newProducer({ ...batches, deliveryMs: callMs });
  }

  /** "default", or the name of a named log. */
  get name(): string {
    return this.#options.log.name;
  }

  /**
   * The id of a named log; undefined until the first call has asked for it, and for `default`. From then on every request
   * states it, and fails with Fault "failed-precondition" if the name means another log.
   */
  get id(): string | undefined {
    return this.#options.log.id;
  }

  /** Nothing is pending, and neither a tail nor a producer is open. */
  get isIdle(): boolean {
    return (
      this.#tails.size === 0 &&
      this.#producers.size === 0 &&
      this.#appends.bytes === 0 &&
      this.#singleAppends.isIdle
    );
  }

  /**
   * Returns what the requests of an append state about the log. Asks for the id if it is not known.
   * @throws Fault "not-found"
   */
  async pinned(): Promise<StatedLog> {
    const { log, limits } = this.#options;
    await log.pin({ deadlineMs: this.#deadlineOf(undefined), attemptMs: limits.attemptMs }, "append");
    return log.stated;
  }

  /**
   * Creates a producer. It appends in batches and keeps the order of the calls. By default each record is appended
   * exactly once. The application closes it, or the client does when it is closed.
   * @throws Fault "config" for a setting that is out of range
   */
  producer(settings: ProducerSettings = {}): Producer {
    const { limits, onUse } = this.#options;
    const producer = this.#newProducer(batcherSettingsOf(settings, limits, () => this.#drawId()));
    this.#producers.add(producer);
    onUse(this);
    return producer;
  }

  /**
   * Returns a cursor of the log. Nothing is sent.
   * @throws Fault "bad-request" for a name that is not a text, or is empty
   */
  cursor(name: string): LogCursor {
    return new LogCursor(name, this.#options);
  }

  /**
   * Reads records one by one. Default: from the end of the log, without a limit. With `cursor`, it begins at that cursor and commits
   * it as the reader goes on.
   * @throws Fault "bad-request" for invalid options, "out-of-range" if the start is not in the log or has been trimmed,
   *   "not-found" if the log is not there, and the reason of the signal
   */
  consume(options?: CursorConsumeOptions): AsyncGenerator<LogRecord, void, undefined> {
    const { cursor, ...rest } = optionsOf<CursorConsumeOptions>(options);
    if (cursor === undefined) return consume(this, rest);
    return consumeCursor(this, this.cursor(cursor), this.#options.clock, rest);
  }

  /**
   * Appends each record as it comes, on one stream, and yields the results in order. It does not retry. Not available in
   * browsers, which cannot stream a request.
   * @throws the Fault of the first append that failed
   */
  produceStream(
    records: Iterable<NewRecord | BytesLike> | AsyncIterable<NewRecord | BytesLike>,
    options?: ProduceStreamOptions,
  ): AsyncGenerator<Appended, void, undefined> {
    const { log, caller } = this.#options;
    const pinDeadlineMs = (): number => this.#deadlineOf(undefined);
    return produceStream({ log, caller, onAppended: this.#onAppended, pinDeadlineMs }, records, options);
  }

  append(run: RecordRun, options: AppendOptions = {}): Promise<Appended> {
    const { producer, expectedOffset, deadlineMs, forward, traceparent } = options;
    try {
      validateRun(run);
      this.#options.onUse(this);
      if (producer === undefined && expectedOffset === undefined && forward === undefined && !traceparent) {
        return this.#appends.append(run, deadlineMs);
      }
      return this.#singleAppends.append(run, options, this.#deadlineOf(deadlineMs));
    } catch (fault) {
      return Promise.reject(fault);
    }
  }

  async read(offset: Offset, freshness: Freshness = {}): Promise<BatchSlice> {
    const { crc32, log } = this.#options;
    for (let round = 0; round < contradictionsMax; round++) {
      const slice = await this.#read(freshness, (attempt) =>
        readBatch(attempt, offset, this.#freshnessInit(freshness), crc32, log),
      );
      if (slice !== undefined) {
        this.#session.observed({ next: slice.nextOffset, place: log.placeOf(indexOf(slice)) });
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
    const { log } = this.#options;
    const { mode = "session", seenOffset, seen } = this.#freshnessOf(freshness);
    const mustSee = mode === "session" ? Math.max(seenOffset ?? -1, this.#session.next - 1) : -1;
    // Bounds do not show whether a node has seen what a token stands for.
    const isShown = mode === "any" || (mode === "session" && seen === undefined);
    return this.#read(freshness, async (attempt) => {
      if (isShown) {
        const bounds = await boundsOf(attempt, log.stated);
        if (bounds.next > mustSee) return bounds;
      }
      await endOffset(attempt, this.#freshnessInit(freshness)); // waits until the node is fresh enough
      return boundsOf(attempt, log.stated);
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
    const { log, limits, clock, chance, backoff, crc32, onUse } = this.#options;
    const tail = new RemoteTail(offset, {
      log,
      callMs: limits.callMs,
      caller: this.#caller,
      clock,
      chance,
      backoff,
      crc32,
      bufferBytesMax: limits.tailBytesMax,
      resumeMs: limits.resumeMs,
      idleMs: limits.tailIdleMs,
      freshness: (arrived) => this.#freshnessInit({}, arrived),
      knownEnd: () => this.#session.next,
      onRead: (seen) => this.#session.observed(seen),
      onClosed: (closed) => this.#tails.delete(closed),
    });
    this.#tails.add(tail);
    onUse(this);
    return tail;
  }

  /** The tail of consume() with a filter. */
  followFiltered(from: Offset, filter: string, until: Offset | undefined): FilteredTail {
    const { log, limits, clock, chance, backoff, onUse } = this.#options;
    const tail = new FilteredTail(from, {
      log,
      caller: this.#caller,
      clock,
      chance,
      backoff,
      callMs: limits.callMs,
      bufferBytesMax: limits.tailBytesMax,
      resumeMs: limits.resumeMs,
      idleMs: limits.tailIdleMs,
      filter,
      until,
      freshness: () => this.#freshnessInit({}),
      knownEnd: () => this.#session.next,
      onClosed: (closed) => this.#tails.delete(closed),
    });
    this.#tails.add(tail);
    onUse(this);
    return tail;
  }

  async trim(before: Offset, options: AppendOptions = {}): Promise<Offset> {
    const { log, limits } = this.#options;
    const deadlineMs = this.#deadlineOf(options.deadlineMs);
    if (!log.isPinned) await log.pin({ deadlineMs, attemptMs: limits.attemptMs }, "append");
    const call: CallOptions = {
      purpose: "append",
      effect: "write",
      deadlineMs,
      repeatable: log.isPinned, // a second trim of the same log has no effect
    };
    return this.#caller.call(call, async (attempt) => {
      const request = { ...log.stated, beforeOffset: uint64Of("before", before) };
      const { lowestOffset } = await createClient(Log, attempt.transport).trim(request, {
        ...rpcOptions(attempt),
        headers: headersOf(options),
      });
      return numberOf(lowestOffset);
    });
  }

  describe(): Promise<LogDescription> {
    return this.#read({}, (attempt) => describeLog(attempt, this.#options.log.stated));
  }

  /** Waits until all pending appends are settled, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#producers].map((producer) => producer[Symbol.asyncDispose]()));
    await this.#appends.flush();
    await this.#singleAppends.settled();
    this.close();
  }

  /** Closes the tails and the producers at once. Pending batched appends fail. */
  close(): void {
    for (const producer of this.#producers) producer.close();
    for (const tail of this.#tails) tail[Symbol.dispose]();
    this.#appends.close();
  }

  #newProducer(batches: ProducerOptions["batches"]): Producer {
    const { log, caller, clock, chance, backoff, limits } = this.#options;
    return new Producer({
      log,
      caller,
      clock,
      chance,
      backoff,
      attemptMs: limits.attemptMs,
      batches,
      onAppended: this.#onAppended,
      onClosed: (closed) => this.#producers.delete(closed),
    });
  }

  #drawId(): bigint {
    const { chance } = this.#options;
    return (BigInt(chance.uint32()) << 32n) | BigInt(chance.uint32());
  }

  #deadlineOf(deadlineMs: number | undefined): number {
    const { clock, limits } = this.#options;
    return checkDeadline(clock, deadlineMs ?? clock.monotonicMs() + limits.callMs);
  }

  async #read<T>(freshness: Freshness, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    const { log } = this.#options;
    const options: CallOptions = {
      purpose: "read",
      effect: "read",
      deadlineMs: this.#deadlineOf(freshness.deadlineMs),
      attemptMs: this.#options.limits.attemptMs,
      signal: freshness.signal,
    };
    if (!log.isPinned) await log.pin(options, "read");
    return this.#caller.call(options, work);
  }

  #firstOffsetFrom(start: ReadStart, freshness: Freshness): Promise<Offset> {
    return this.#read(freshness, (attempt) =>
      firstOffsetFrom(attempt, start, this.#freshnessInit(freshness)),
    );
  }

  /** `known`: what is committed besides what the session knows. */
  #freshnessInit(freshness: Freshness, known = this.#session.seen): ConsumeInit {
    const seen = later(this.#session.seen, known);
    return { ...freshnessInit(this.#freshnessOf(freshness, seen), seen), ...this.#options.log.stated };
  }

  #freshnessOf(stated: Freshness, known = this.#session.seen): Freshness {
    const { log, freshness } = this.#options;
    return callFreshness(freshness, stated, known, log.isDefault);
  }
}
