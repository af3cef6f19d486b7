/**
 * A tail of several logs in a cluster. It reads ahead into a bounded buffer. When a stream ends, another node is asked to go
 * on with the token of the last response that arrived, so the reader sees neither a gap nor a duplicate.
 *
 * The ids of named logs are asked for once, before the first stream. Every request states them.
 */
import { Fault } from "../../fault.ts";
import type { TailLogsResponse } from "../../gen/log/v1/log_pb.js";
import type { Prng } from "../../lib/prng.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { Offset, RaftIndex } from "../../types.ts";
import { sleep } from "../calls/abortable-wait.ts";
import { type BackoffSettings, backoffMs } from "../calls/backoff.ts";
import { faultOf, retryDelayOf } from "../calls/fault-of.ts";
import type { RetryingCaller } from "../calls/retrying-caller.ts";
import { streamEnded } from "../consume/batch-stream.ts";
import { finalKinds, goodStreamMs, type StreamOptions } from "../consume/read-stream.ts";
import type { LogRecord } from "../consume/record-batch.ts";
import type { ClientLimits } from "../limits.ts";
import { numberOf } from "../messages.ts";
import { optionsOf, signalOf } from "../options.ts";
import { LogIdentity, type PinLimits } from "./log-identity.ts";
import { readTailStream, type TailRequest } from "./tail-stream.ts";

/** A log of a tail of several logs. */
export interface TailedLog {
  readonly log: string;
  /** Undefined for `default`. */
  readonly logId: string | undefined;
}

/** A record of a tail of several logs. */
export interface TailedRecord extends LogRecord, TailedLog {
  /** A tail that begins with this token continues after this record. */
  readonly resume: string;
}

/** Where a tail of several logs is. */
export interface TailPosition {
  /** A tail that begins with this token continues here. */
  readonly resume: string;
  /** All committed records have been read. */
  readonly caughtUp: boolean;
  /** With a filter: records that the node passed over, because their evaluation would have cost too much. Otherwise 0. */
  readonly skipped: number;
  /** The ends of the logs that were named, as far as the tail knows them. */
  readonly ends: readonly (TailedLog & { readonly next: Offset })[];
}

export interface TailLogsOptions {
  /** The logs, with the id that each must have, if known. `default` can be one of them. Either names or a prefix. */
  readonly names?: readonly (string | { readonly name: string; readonly id: string })[] | undefined;
  /** All named logs whose names begin with it and that the subject may read, also those that are created later. */
  readonly prefix?: string | undefined;
  /**
   * Where to start: "start", "end" or a token (the `resume` of a record). Default "end": only records that are appended from now
   * on. Several logs have no common offset, so an offset or a time is not possible.
   */
  readonly from?: string | undefined;
  /** The same as `from`, which is the name in `consume()`. */
  readonly resume?: string | undefined;
  /** A condition in CEL: only records for which it holds are returned. The nodes evaluate it. Default: all records. */
  readonly filter?: string | undefined;
  /** Called for a log that was named and was deleted, once. The tail continues without it. */
  readonly onDeleted?: ((log: TailedLog) => void) | undefined;
  /** Called when the tail begins and has caught up, and at an interval. */
  readonly onPosition?: ((position: TailPosition) => void) | undefined;
  /** Ends the tail with its reason. Default: none. */
  readonly signal?: AbortSignal | undefined;
}

export interface LogsTailSettings {
  readonly caller: RetryingCaller;
  readonly clock: Clock;
  readonly chance: Prng;
  readonly backoff: BackoffSettings;
  readonly limits: Pick<ClientLimits, "callMs" | "attemptMs" | "resumeMs" | "tailIdleMs" | "tailBytesMax">;
}

/** Logs that are asked about at once. */
const askedAtOnce = 16;

/** The ends of the logs that were named, by name: most markers have only those that have changed. */
type LogEnds = Map<string, TailPosition["ends"][number]>;

/**
 * Yields records of several logs in the order in which the cluster appended them, until the signal ends it or all logs that
 * were named are closed.
 * @throws Fault "bad-request"; "not-found" if a log does not exist, or all were deleted; "failed-precondition" for an id or a
 *   token that is no longer valid, "out-of-range" for a token whose records are not kept; the reason of the signal
 */
export async function* tailLogs(
  given: TailLogsOptions,
  settings: LogsTailSettings,
): AsyncGenerator<TailedRecord, void, undefined> {
  const options = optionsOf<TailLogsOptions>(given);
  const signal = signalOf(options.signal);
  signal?.throwIfAborted();
  const tail = new LogsTail(options, settings);
  const ends: LogEnds = new Map();
  const stop = (): void => tail.stop();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    for (;;) {
      const response = await tail.next();
      signal?.throwIfAborted();
      if (response === undefined) return;
      if (response.deleted) {
        ends.delete(response.log);
        options.onDeleted?.(logOf(response));
      } else if (response.records.length > 0) yield* recordsOf(response);
      else options.onPosition?.(positionOf(response, ends));
      signal?.throwIfAborted();
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    tail.stop();
  }
}

class LogsTail {
  readonly #settings: LogsTailSettings;
  readonly #options: Partial<TailLogsOptions>;
  readonly #stop = new AbortController();
  /** The nodes that failed or were idle since the last record arrived. */
  readonly #avoid = new Set<string>();
  readonly #buffer: TailLogsResponse[] = [];
  #bufferBytes = 0;
  /** The token of the last response that arrived; what the application stated before the first one. */
  #resume: string;
  /** Responses that arrived, without markers: every stream begins with one. */
  #arrivals = 0;
  /** The stream has sent what only a node that knows filters sends. */
  #isFiltered = false;
  /** The stream has used the time of its filter. Another one goes on. */
  #isSuspended = false;
  #identities: readonly LogIdentity[] = [];
  #end: { readonly fault: Fault | undefined } | undefined;
  #isRunning = false;
  #wakeReader: (() => void) | undefined;
  #continueStream: (() => void) | undefined;

  constructor(options: Partial<TailLogsOptions>, settings: LogsTailSettings) {
    this.#options = options;
    this.#settings = settings;
    checkOptions(options);
    this.#resume = options.from ?? options.resume ?? "end";
  }

  stop(): void {
    this.#end ??= { fault: undefined };
    this.#stop.abort(new Fault("canceled", { message: "the tail is closed" }));
    this.#buffer.length = 0;
    this.#continueStream?.();
    this.#wakeReader?.();
  }

  /** Returns the next response, undefined at the end. @throws the Fault that ended the tail, after all before it */
  async next(): Promise<TailLogsResponse | undefined> {
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#run().catch((reason: unknown) => this.#finish(Fault.from(reason)));
    }
    while (this.#buffer.length === 0) {
      if (this.#end?.fault !== undefined) throw this.#end.fault;
      if (this.#end !== undefined) return undefined;
      await new Promise<void>((resolve) => (this.#wakeReader = resolve));
    }
    const response = this.#buffer.shift()!;
    this.#bufferBytes -= bytesOf(response);
    if (!this.#isFull) this.#continueStream?.();
    return response;
  }

  get #isFull(): boolean {
    return this.#bufferBytes >= this.#settings.limits.tailBytesMax;
  }

  #finish(fault: Fault | undefined): void {
    this.#end ??= { fault };
    this.#wakeReader?.();
  }

  /** Opens streams, one after another. */
  async #run(): Promise<void> {
    const { clock, chance, backoff, limits } = this.#settings;
    const logs = await this.#resolve();
    let failures = 0;
    let failingSince = 0;
    while (this.#end === undefined) {
      const [beganMs, before] = [clock.monotonicMs(), this.#arrivals];
      const { why, addr } = await this.#stream(logs);
      if (this.#end !== undefined) return;
      if (this.#arrivals !== before || clock.monotonicMs() - beganMs >= goodStreamMs) failures = 0;
      if (why === "idle" || (why === "end" && this.#isSuspended)) continue;
      if (why === "end") {
        const lastIndex = await this.#closedAt();
        if (lastIndex < indexOf(this.#resume)) return this.#finish(undefined);
        const isFault = lastIndex === Number.POSITIVE_INFINITY && addr !== undefined;
        if (isFault) this.#settings.caller.recordFault(addr, streamEnded, this.#avoid);
      }
      const fault = why === "end" ? streamEnded : why;
      if (finalKinds.includes(fault.kind) || this.#settings.caller.closing.aborted)
        return this.#finish(fault);
      if (++failures === 1) failingSince = clock.monotonicMs();
      if (clock.monotonicMs() - failingSince >= limits.resumeMs) return this.#finish(fault);
      await sleep(clock, backoffMs(backoff, failures, chance, retryDelayOf(fault)), this.#stop.signal);
    }
  }

  #stream(logs: Pick<TailRequest, "names" | "logIds" | "prefix">): ReturnType<typeof readTailStream> {
    const { caller, clock, limits } = this.#settings;
    const isToken = this.#resume !== "start" && this.#resume !== "end";
    const { filter = "" } = this.#options;
    const resume = isToken ? this.#resume : "";
    const request = { ...logs, resume, fromStart: this.#resume === "start", filter };
    this.#isFiltered = filter === "";
    this.#isSuspended = false;
    const options: StreamOptions = {
      caller,
      clock,
      idleMs: limits.tailIdleMs,
      signal: this.#stop.signal,
      avoid: this.#avoid,
    };
    return readTailStream(request, options, (response) => {
      this.#arrived(response);
      return this.#isFull ? new Promise((resolve) => (this.#continueStream = resolve)) : undefined;
    });
  }

  #arrived(response: TailLogsResponse): void {
    if (this.#end !== undefined) return;
    this.#isFiltered ||= response.filtered;
    // An earlier version ignores the filter and sends all records.
    if (!this.#isFiltered)
      throw new Fault("unimplemented", { message: "the node does not know filters: its version is too old" });
    this.#isSuspended ||= response.suspended;
    this.#buffer.push(response);
    this.#bufferBytes += bytesOf(response);
    if (response.resume !== "") this.#resume = response.resume;
    if (response.deleted || response.records.length > 0) {
      this.#arrivals++;
      this.#avoid.clear();
    }
    this.#wakeReader?.();
  }

  /**
   * The last index about the logs if all are closed, infinite otherwise. A node that stops ends its streams, too: only logs that
   * are closed, and were read to their end, end a tail.
   */
  async #closedAt(): Promise<RaftIndex> {
    if (this.#options.prefix !== undefined) return Number.POSITIVE_INFINITY;
    let last = 0;
    try {
      for (const some of batchesOf(this.#identities)) {
        const indexes = await Promise.all(some.map((one) => one.closedAt(this.#askLimits())));
        last = Math.max(last, ...indexes.map((index) => index ?? Number.POSITIVE_INFINITY));
      }
      return last;
    } catch {
      return Number.POSITIVE_INFINITY; // the next stream tells
    }
  }

  #askLimits(): PinLimits {
    const { clock, limits } = this.#settings;
    const { callMs, attemptMs } = limits;
    return { deadlineMs: clock.monotonicMs() + callMs, attemptMs, signal: this.#stop.signal };
  }

  /** Asks for the ids of the logs. With a token, a log that is gone is left to the node, which says so. */
  async #resolve(): Promise<Pick<TailRequest, "names" | "logIds" | "prefix">> {
    const { prefix, names = [] } = this.#options;
    if (prefix !== undefined) return { names: [], logIds: [], prefix };
    const { caller } = this.#settings;
    const isResumed = this.#resume !== "start" && this.#resume !== "end";
    const identities = names.map((one) =>
      typeof one === "string" ? new LogIdentity(caller, one) : new LogIdentity(caller, one.name, one.id),
    );
    this.#identities = identities;
    const pinOne = async (identity: LogIdentity): Promise<void> => {
      try {
        await identity.pin(this.#askLimits(), "read");
      } catch (reason) {
        const fault = faultOf(reason, "read");
        if (!isResumed || fault.kind !== "not-found") throw fault;
      }
    };
    for (const some of batchesOf(identities)) await Promise.all(some.map(pinOne));
    return { names: identities.map(({ name }) => name), logIds: identities.map(({ id }) => id ?? "") };
  }
}

function* batchesOf(identities: readonly LogIdentity[]): Generator<readonly LogIdentity[]> {
  for (let at = 0; at < identities.length; at += askedAtOnce) yield identities.slice(at, at + askedAtOnce);
}

const known: Readonly<Record<keyof TailLogsOptions, true>> = {
  ...{ names: true, prefix: true, from: true, resume: true },
  ...{ filter: true, onDeleted: true, onPosition: true, signal: true },
};

/** @throws Fault "bad-request" */
function checkOptions(options: Partial<TailLogsOptions>): void {
  const { names, prefix, from, resume, filter } = options;
  const reject = (message: string, field: string): never => {
    throw new Fault("bad-request", { message, facts: { field } });
  };
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(known, name));
  if (unknown !== undefined)
    reject(`a tail has no option "${unknown}", only ${Object.keys(known).join(", ")}`, unknown);
  if ((names === undefined) === (prefix === undefined)) reject("either names or a prefix is needed", "names");
  if (names !== undefined && !Array.isArray(names)) reject("names must be a list of names", "names");
  if (names?.length === 0) reject("names must not be empty", "names");
  if (prefix !== undefined && typeof prefix !== "string") reject("the prefix must be a text", "prefix");
  if (filter !== undefined && (typeof filter !== "string" || filter === ""))
    reject("filter must be a text, and not empty", "filter");
  if (from !== undefined && resume !== undefined) reject("from and resume mean the same, state one", "from");
  for (const [field, value] of Object.entries({ from, resume })) {
    if (value !== undefined && (typeof value !== "string" || value === ""))
      reject(`${field} must be "start", "end" or a token: several logs have no common offset`, field);
  }
}

const logOf = ({ log, logId }: Pick<TailLogsResponse, "log" | "logId">): TailedLog => ({ log, logId });

/** Adds what the response says to the known ends. */
function positionOf({ resume, caughtUp, ends, skipped }: TailLogsResponse, known: LogEnds): TailPosition {
  for (const end of ends) known.set(end.log, { ...logOf(end), next: numberOf(end.nextOffset) });
  return { resume, caughtUp, skipped: numberOf(skipped), ends: [...known.values()] };
}

/** The records of a response are of one batch. After one before the last, the token counts fewer records. */
function* recordsOf({ log, logId, records, resume }: TailLogsResponse): Generator<TailedRecord> {
  const at = resume.lastIndexOf(".") + 1;
  const before = Number(resume.slice(at)) - records.length;
  for (const [n, { offset, term, timestampMs, key, value, headers }] of records.entries()) {
    yield {
      log,
      logId,
      offset: numberOf(offset),
      term: numberOf(term),
      timestampMs: numberOf(timestampMs),
      key,
      value,
      headers,
      resume: `${resume.slice(0, at)}${before + n + 1}`,
    };
  }
}

/** The Raft index of a token; 0 if it is none. */
const indexOf = (resume: string): RaftIndex => Number(/^r\d+\.(\d+)\./.exec(resume)?.[1] ?? 0);

/** About the memory of a response. */
function bytesOf({ records }: TailLogsResponse): number {
  let bytes = 100;
  for (const { key, value, headers } of records) {
    bytes += 100 + key.length + value.length;
    for (const header of headers) bytes += header.key.length + header.value.length;
  }
  return bytes;
}
