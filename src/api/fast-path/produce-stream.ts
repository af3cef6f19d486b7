/**
 * ProduceStream: appends as messages arrive, acknowledges in their order.
 *
 *   chunk → plain messages gathered into groups → appends under way (a queue) → acks, all that are due in one write
 *
 * Messages without producer or expectation that arrive together are appended as one run, at most a batch's worth, so
 * a thousand records cost one promise; each still gets an acknowledgement of its own. Their order in the log is the order
 * of the messages, whatever happens to the leader (AppendOrder). A message that fails ends the stream, after the acks of
 * those before it and once it is known what became of those behind it: the error says whether any was written.
 * Bounded: with too much under way, or acks that the client does not take, no more is read.
 */
import type { RecordRun } from "../../types.ts";
import type { AppendRequest as Append } from "../methods/append.ts";
import { requireRecords } from "../methods/append-message.ts";
import type { StreamShare } from "../methods/stream-budget.ts";
import { type Settled, streamFailure } from "../methods/stream-failure.ts";
import { EnvelopeReader } from "./envelope.ts";
import type { ExpressCall } from "./fast-call.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import type { Lane, Serve } from "./fast-path.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import { oneRecord, readSlowly, startAppend } from "./produce.ts";
import { AppendRequest } from "./request-codec.ts";
import { ackBytes, writeProduceResponse } from "./response-codec.ts";
import { RunGroup } from "./run-group.ts";
import { attempt, checkFlags, cutShort, guard } from "./unary-body.ts";

/** Records under way at once on one stream; for bytes see StreamBudget. */
const pendingRecordsMax = 65_536;

/** Messages appended together, and what became of them. */
interface Pending {
  readonly count: number;
  readonly bytes: number;
  settled: boolean;
  firstOffset: number;
  timestampMs: number;
  duplicate: boolean;
  failure: unknown;
}

export const produceStream: Serve = (lane, express, forward) => {
  new ProduceStream(lane, express, forward).open();
};

class ProduceStream {
  readonly #lane: Lane;
  readonly #express: ExpressCall;
  readonly #forward: boolean;
  readonly #reader: EnvelopeReader;
  readonly #request: AppendRequest;
  readonly #group = new RunGroup();
  #pending: Pending[] = [];
  #pendingRecords = 0;
  readonly #share: StreamShare;
  #acksDue = false;
  /** Records that were acknowledged. */
  #acknowledged = 0;
  #inputOver = false;
  #blocked = false;

  constructor(lane: Lane, express: ExpressCall, forward: boolean) {
    this.#lane = lane;
    this.#express = express;
    this.#forward = forward;
    this.#share = lane.budget.open();
    this.#reader = new EnvelopeReader(lane.requestBytesMax, express.held);
    this.#request = new AppendRequest(lane.recordLimits, express.call.subject);
  }

  open(): void {
    const { stream, answer } = this.#express;
    answer.begin();
    this.#express.call.order = { ended: false };
    this.#express.explain = (reason) => streamFailure(reason, this.#progress, []);
    guard(this.#express, (chunk) => this.#onChunk(chunk));
    stream.onEnd = () => this.#onEnd();
    stream.onDrain = () => {
      this.#blocked = false;
      this.#gate();
    };
    this.#express.onEnd = () => {
      this.#inputOver = true;
      this.#pending = [];
      this.#share[Symbol.dispose]();
    };
  }

  #onChunk(chunk: Uint8Array): void {
    if (this.#inputOver) return;
    try {
      this.#reader.push(chunk);
      while (this.#reader.take()) {
        checkFlags(this.#reader.flags);
        this.#onMessage(this.#reader.bytes, this.#reader.start, this.#reader.end);
      }
      this.#appendGroup();
    } catch (reason) {
      this.#stopInput(reason);
    }
    this.#gate();
  }

  #onMessage(bytes: Uint8Array, start: number, end: number): void {
    const request = this.#request;
    if (!request.read(bytes, start, end, 1, 1)) {
      const slow = readSlowly(this.#lane, this.#express, oneRecord, bytes.subarray(start, end));
      this.#appendGroup();
      this.#append(slow);
    } else if (request.producer !== undefined || request.expectedOffset !== undefined) {
      this.#appendGroup();
      this.#append(request);
    } else {
      if (!this.#group.fits(request.run)) this.#appendGroup();
      this.#group.add(request.run);
    }
  }

  #appendGroup(): void {
    if (this.#group.count > 0) this.#append({ run: this.#group.take() });
  }

  #append(request: Append): void {
    requireRecords(request.run);
    const pending = this.#enqueue(request.run);
    startAppend(this.#lane, this.#express, request, this.#forward).then(
      ({ firstOffset, timestampMs, duplicate }) => {
        pending.firstOffset = firstOffset;
        pending.timestampMs = timestampMs;
        pending.duplicate = duplicate;
        this.#settle(pending);
      },
      (reason) => {
        pending.failure = reason;
        this.#settle(pending);
      },
    );
  }

  #enqueue(run: RecordRun): Pending {
    const pending: Pending = {
      count: run.count,
      bytes: run.bytes.length,
      settled: false,
      firstOffset: 0,
      timestampMs: 0,
      duplicate: false,
      failure: undefined,
    };
    this.#pending.push(pending);
    this.#pendingRecords += pending.count;
    this.#share.begin(pending.bytes);
    return pending;
  }

  /** All that settle in one turn are acknowledged by one write. */
  #settle(pending: Pending): void {
    pending.settled = true;
    if (this.#acksDue || this.#express.over) return;
    this.#acksDue = true;
    queueMicrotask(() => attempt(this.#express, this.#acknowledge));
  }

  readonly #acknowledge = (): void => {
    this.#acksDue = false;
    if (this.#express.over) return;
    let due = 0;
    let records = 0;
    for (; this.#pending[due]?.settled && this.#pending[due]?.failure === undefined; due++) {
      records += (this.#pending[due] as Pending).count;
    }
    this.#acknowledged += records;
    if (due > 0) this.#write(this.#pending.splice(0, due), records);
    const head = this.#pending[0];
    if (head?.failure !== undefined) {
      this.#failWith(head.failure);
      return;
    }
    if (head === undefined) {
      this.#express.written = "no";
      if (this.#inputOver) this.#express.end();
    }
    this.#gate();
  };

  /** Ends the stream with the first failure, once all that was begun behind it is settled. */
  #failWith(failure: unknown): void {
    this.#inputOver = true;
    const behind = this.#pending.slice(1);
    if (!behind.every(({ settled }) => settled)) return;
    const outcomes = behind.map(
      ({ failure: reason, count }): Settled =>
        reason === undefined ? { status: "fulfilled", value: count } : { status: "rejected", reason },
    );
    this.#express.fail(streamFailure(failure, this.#progress, outcomes));
  }

  get #progress(): { readonly records_before: number } {
    return { records_before: this.#acknowledged };
  }

  #write(settled: readonly Pending[], records: number): void {
    const last = settled[settled.length - 1] as Pending;
    const bytes = Buffer.allocUnsafe(records * ackBytes(last.firstOffset + last.count, last.timestampMs));
    let at = 0;
    for (const { count, bytes: size, firstOffset, timestampMs, duplicate } of settled) {
      for (let ordinal = 0; ordinal < count; ordinal++) {
        at = writeProduceResponse(bytes, at, firstOffset + ordinal, timestampMs, duplicate);
      }
      this.#pendingRecords -= count;
      this.#share.end(size);
    }
    if (!this.#express.answer.write(bytes.subarray(0, at))) this.#blocked = true;
  }

  #onEnd(): void {
    if (this.#inputOver) return;
    if (this.#reader.pending > 0) this.#stopInput(cutShort(this.#reader.pending));
    this.#inputOver = true;
    if (this.#pending.length === 0) this.#express.end();
  }

  /** Takes no more input; the failure is told after the acks of what came before it. */
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

  #gate(): void {
    const { stream, over } = this.#express;
    if (over) return;
    const full = this.#pendingRecords >= pendingRecordsMax || this.#share.isFull;
    if (full || this.#blocked) stream.pause();
    else stream.resume();
  }
}
