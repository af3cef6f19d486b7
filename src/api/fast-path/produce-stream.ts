/**
 * ProduceStream: appends messages as they arrive and acknowledges them in order.
 *
 *   chunk → messages, collected in groups → appends in flight (a queue) → acknowledgements, one write for all due
 *
 * Messages without expected offset that arrive together are appended as one run of at most one batch, so a thousand records
 * cost one promise. They are of one log, and without a producer or of one, in the order of its sequence. Each message still
 * gets its own acknowledgement. The order of records in the log is the order of the messages, even if the leader changes
 * (AppendOrder).
 *
 * A run of a producer is appended as one only while the log says that this appends all of it. Otherwise some messages can be
 * duplicates, or this node does not lead: then each message is an append of its own.
 *
 * A message that fails ends the stream, after the acknowledgements of the messages before it, and after the appends
 * behind it have settled: the error says whether any record may have been written. When too much is in flight, or when the
 * client does not read acknowledgements, no more input is read.
 */
import type { LogRef, RecordRun } from "../../types.ts";
import { appendOptionsOf } from "../methods/append.ts";
import { type AppendRequest, requireRecords } from "../methods/append-request.ts";
import { type LogInRequest, pinned } from "../methods/logs/log-directory.ts";
import type { StreamShare } from "../methods/stream-budget.ts";
import { type Settled, streamFailure } from "../methods/stream-failure.ts";
import { AppendRequestReader } from "./codec/request-codec.ts";
import { ackBytes, logIdTags, noField, writeProduceResponse } from "./codec/response-codec.ts";
import { EnvelopeReader } from "./envelope-reader.ts";
import type { FastCall } from "./fast-call.ts";
import type { FastPathContext, ServeMethod } from "./fast-path-context.ts";
import { ackFields, decodeUnusual, oneRecord, startAppend } from "./produce.ts";
import { attempt, checkFlags, incompleteMessage, onChunk } from "./request-chunks.ts";
import { RunGroup } from "./run-group.ts";

/** Records in flight on one stream. StreamBudget limits their bytes. */
const recordsInFlightMax = 65_536;

/** Messages that were appended together, and the outcome. */
interface PendingAppend {
  readonly count: number;
  readonly bytes: number;
  settled: boolean;
  firstOffset: number;
  timestampMs: number;
  duplicate: boolean;
  failure: unknown;
  /** The encoded field log_id of the acknowledgements. */
  logId: Uint8Array;
}

export const produceStream: ServeMethod = (context, call, forward) => {
  new ProduceStream(context, call, forward).open();
};

class ProduceStream {
  readonly #context: FastPathContext;
  readonly #call: FastCall;
  readonly #forward: boolean;
  readonly #envelopes: EnvelopeReader;
  readonly #request: AppendRequestReader;
  readonly #group = new RunGroup();
  /** The log of the messages in the group, as they name it, and what that means. Undefined before the first message. */
  #groupNamed: LogInRequest | undefined;
  #groupLog: LogRef | undefined;
  readonly #share: StreamShare;
  #groupDue = false;
  /** In the order of the messages. */
  #pending: PendingAppend[] = [];
  #pendingRecords = 0;
  #acknowledgementsDue = false;
  #acknowledgedRecords = 0;
  #inputOver = false;
  /** The client does not read acknowledgements. */
  #blocked = false;

  constructor(context: FastPathContext, call: FastCall, forward: boolean) {
    this.#context = context;
    this.#call = call;
    this.#forward = forward;
    this.#share = context.streamBudget.open();
    this.#envelopes = new EnvelopeReader(context.requestBytesMax, call.requestMemory);
    this.#request = new AppendRequestReader(context.recordLimits, call.tracked.subject);
  }

  open(): void {
    const { stream, response, tracked } = this.#call;
    response.begin();
    tracked.order = { ended: false };
    this.#call.explain = (reason) => streamFailure(reason, this.#progress, []);
    onChunk(this.#call, (chunk) => this.#onChunk(chunk));
    stream.onEnd = () => this.#onEnd();
    stream.onDrain = () => {
      this.#blocked = false;
      this.#pauseOrResume();
    };
    this.#call.onEnd = () => {
      this.#inputOver = true;
      this.#pending = [];
      this.#group.clear();
      this.#share[Symbol.dispose]();
    };
  }

  #onChunk(chunk: Uint8Array): void {
    if (this.#inputOver) return;
    try {
      // Messages of the group can be in the buffer to which push() writes the rest of a message.
      if (this.#envelopes.pending > 0) this.#appendGroup();
      this.#envelopes.push(chunk);
      while (this.#envelopes.take()) {
        checkFlags(this.#envelopes.flags);
        this.#onMessage(this.#envelopes.bytes, this.#envelopes.start, this.#envelopes.end);
      }
      this.#appendGroupSoon();
    } catch (reason) {
      this.#stopInput(reason);
    }
    this.#pauseOrResume();
  }

  #onMessage(bytes: Uint8Array, start: number, end: number): void {
    const request = this.#request;
    if (!request.read(bytes, start, end, 1, 1)) {
      const unusual = decodeUnusual(this.#context, this.#call, oneRecord, bytes.subarray(start, end));
      this.#appendGroup();
      this.#append(unusual);
      this.#groupNamed = undefined;
      return;
    }
    if (!this.#isGroupLog(request.named)) this.#beginGroupOf(request.named);
    const { run, producer, expectedOffset } = request;
    if (expectedOffset !== undefined) {
      this.#appendGroup();
      request.log = this.#pinnedGroupLog();
      this.#append(request);
    } else {
      if (!this.#group.fits(run, producer)) this.#appendGroup();
      this.#group.add(run, producer);
    }
  }

  #isGroupLog({ log, logId }: LogInRequest): boolean {
    return this.#groupNamed?.log === log && this.#groupNamed.logId === logId;
  }

  /** The messages from here on are for this log. */
  #beginGroupOf({ log, logId }: LogInRequest): void {
    this.#appendGroup();
    this.#groupNamed = undefined;
    this.#groupLog = this.#context.logs.refFor(this.#call.tracked, { log, logId });
    this.#groupNamed = { log, logId };
  }

  /** The log of the group, with its id once that is known. */
  #pinnedGroupLog(): LogRef | undefined {
    const log = this.#groupLog;
    return log === undefined ? undefined : pinned(this.#call.tracked, log);
  }

  /** Appends the group once the frames that have arrived with this one are read: many clients send a frame for each message. */
  #appendGroupSoon(): void {
    if (this.#groupDue || this.#group.count === 0) return;
    this.#groupDue = true;
    queueMicrotask(this.#onGroupDue);
  }

  readonly #onGroupDue = (): void => {
    this.#groupDue = false;
    if (this.#call.over || this.#inputOver) return;
    attempt(this.#call, () => this.#appendGroup());
    this.#pauseOrResume();
  };

  #appendGroup(): void {
    const group = this.#group;
    if (group.count === 0) return;
    const log = this.#pinnedGroupLog();
    const whole = { ...group.whole(), log };
    if (whole.producer === undefined || whole.run.count === 1 || this.#isTakenWhole(whole))
      this.#append(whole);
    else for (const single of group.runs()) this.#append({ ...single, log });
    group.clear();
  }

  /** Returns true if all messages of the run are appended with it, now, and none is a duplicate. */
  #isTakenWhole(request: AppendRequest): boolean {
    const { log } = this.#context;
    return (
      log.takesWhole?.(request.run, appendOptionsOf(this.#call.tracked, request, this.#forward)) === true
    );
  }

  #append(request: AppendRequest): void {
    requireRecords(request.run);
    const pending = this.#enqueue(request.run);
    startAppend(this.#context, this.#call, request, this.#forward).then(
      (appended) => {
        pending.firstOffset = appended.firstOffset;
        pending.timestampMs = appended.timestampMs;
        pending.duplicate = appended.duplicate;
        pending.logId = ackFields(this.#context, logIdTags.produce, appended);
        this.#settle(pending);
      },
      (reason) => {
        pending.failure = reason;
        this.#settle(pending);
      },
    );
  }

  #enqueue(run: RecordRun): PendingAppend {
    const pending: PendingAppend = {
      count: run.count,
      bytes: run.bytes.length,
      settled: false,
      firstOffset: 0,
      timestampMs: 0,
      duplicate: false,
      failure: undefined,
      logId: noField,
    };
    this.#pending.push(pending);
    this.#pendingRecords += pending.count;
    this.#share.begin(pending.bytes);
    return pending;
  }

  /** One write acknowledges all appends that settle in one turn. */
  #settle(pending: PendingAppend): void {
    pending.settled = true;
    if (this.#acknowledgementsDue || this.#call.over) return;
    this.#acknowledgementsDue = true;
    queueMicrotask(() => attempt(this.#call, this.#acknowledge));
  }

  readonly #acknowledge = (): void => {
    this.#acknowledgementsDue = false;
    if (this.#call.over) return;
    let due = 0;
    let records = 0;
    for (; this.#pending[due]?.settled && this.#pending[due]?.failure === undefined; due++) {
      records += (this.#pending[due] as PendingAppend).count;
    }
    this.#acknowledgedRecords += records;
    if (due > 0) this.#writeAcknowledgements(this.#pending.splice(0, due), records);
    const head = this.#pending[0];
    if (head?.failure !== undefined) {
      this.#failWith(head.failure);
      return;
    }
    if (head === undefined) {
      this.#call.written = "no";
      if (this.#inputOver) this.#call.end();
    }
    this.#pauseOrResume();
  };

  /** Ends the stream with the first failure when all appends behind it have settled. */
  #failWith(failure: unknown): void {
    this.#inputOver = true;
    this.#group.clear();
    const later = this.#pending.slice(1);
    if (!later.every(({ settled }) => settled)) return;
    const outcomes = later.map(
      ({ failure: reason, count }): Settled =>
        reason === undefined ? { status: "fulfilled", value: count } : { status: "rejected", reason },
    );
    this.#call.fail(streamFailure(failure, this.#progress, outcomes));
  }

  get #progress(): { readonly records_before: number } {
    return { records_before: this.#acknowledgedRecords };
  }

  #writeAcknowledgements(settled: readonly PendingAppend[], records: number): void {
    const bytes = Buffer.allocUnsafe(records * largestAck(settled));
    let at = 0;
    for (const { count, bytes: size, firstOffset, timestampMs, duplicate, logId } of settled) {
      for (let ordinal = 0; ordinal < count; ordinal++) {
        at = writeProduceResponse(bytes, at, firstOffset + ordinal, timestampMs, duplicate, logId);
      }
      this.#pendingRecords -= count;
      this.#share.end(size);
    }
    if (!this.#call.response.write(bytes.subarray(0, at))) this.#blocked = true;
  }

  #onEnd(): void {
    if (this.#inputOver) return;
    this.#appendGroup();
    const { pending } = this.#envelopes;
    if (pending > 0) this.#stopInput(incompleteMessage(pending));
    this.#inputOver = true;
    if (this.#pending.length === 0) this.#call.end();
  }

  /** Reads no more input. The failure is sent after the acknowledgements of the messages before it. */
  #stopInput(reason: unknown): void {
    try {
      this.#appendGroup();
    } finally {
      this.#inputOver = true;
      const failed = this.#enqueue({ bytes: new Uint8Array(0), count: 0 });
      failed.failure = reason;
      this.#settle(failed);
    }
  }

  #pauseOrResume(): void {
    const { stream, over } = this.#call;
    if (over) return;
    const full = this.#pendingRecords >= recordsInFlightMax || this.#share.isFull;
    if (full || this.#blocked) stream.pause();
    else stream.resume();
  }
}

/** Size of the largest acknowledgement of these appends. They can be of several logs. */
function largestAck(settled: readonly PendingAppend[]): number {
  let [end, timestampMs, idBytes] = [0, 0, 0];
  for (const one of settled) {
    end = Math.max(end, one.firstOffset + one.count);
    timestampMs = Math.max(timestampMs, one.timestampMs);
    idBytes = Math.max(idBytes, one.logId.length);
  }
  return ackBytes(end, timestampMs) + idBytes;
}
