/**
 * ProduceBulk: a stream of batches in, one summary out. Each message is one atomic append, and several are in flight at
 * once, in order and bounded as in a ProduceStream. The first batch that fails ends the call, after the batches in flight
 * behind it have settled.
 */
import type { Appended } from "../../types.ts";
import { requireRecords } from "../methods/append-request.ts";
import { BulkSummary } from "../methods/bulk-summary.ts";
import type { StreamShare } from "../methods/stream-budget.ts";
import { streamFailure } from "../methods/stream-failure.ts";
import { AppendRequestReader } from "./codec/request-codec.ts";
import { logIdField, logIdTags, produceBulkResponse } from "./codec/response-codec.ts";
import { EnvelopeReader } from "./envelope-reader.ts";
import type { FastCall } from "./fast-call.ts";
import type { FastPathContext, ServeMethod } from "./fast-path-context.ts";
import { manyRecords, readAppend, startAppend } from "./produce.ts";
import { checkFlags, incompleteMessage, onChunk } from "./request-chunks.ts";

/** Batches in flight on one stream. StreamBudget limits their bytes. */
const batchesInFlightMax = 64;

export const produceBulk: ServeMethod = (context, call, forward) => {
  new ProduceBulk(context, call, forward).open();
};

class ProduceBulk {
  readonly #context: FastPathContext;
  readonly #call: FastCall;
  readonly #forward: boolean;
  readonly #envelopes: EnvelopeReader;
  readonly #request: AppendRequestReader;
  readonly #summary = new BulkSummary();
  readonly #share: StreamShare;
  /** Settles when all appends so far have, in order. Rejects with the first failure. */
  #last: Promise<void> = Promise.resolve();
  /** The appends that are not in the summary yet, in order. */
  #inFlight: Promise<Appended>[] = [];
  #inputOver = false;

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
    onChunk(this.#call, (chunk) => this.#onChunk(chunk));
    stream.onEnd = () => this.#onEnd();
    this.#call.explain = (reason) => streamFailure(reason, this.#summary.progress, []);
    this.#call.onEnd = () => {
      this.#inputOver = true;
      this.#share[Symbol.dispose]();
    };
  }

  #onChunk(chunk: Uint8Array): void {
    if (this.#inputOver) return;
    try {
      this.#envelopes.push(chunk);
      while (this.#envelopes.take()) {
        checkFlags(this.#envelopes.flags);
        this.#append();
      }
    } catch (reason) {
      this.#stopInput(reason);
    }
    this.#pauseOrResume();
  }

  #append(): void {
    const { bytes, start, end } = this.#envelopes;
    const request = readAppend(this.#context, this.#call, manyRecords, this.#request, bytes, start, end);
    requireRecords(request.run);
    const size = request.run.bytes.length;
    this.#share.begin(size);
    const append = startAppend(this.#context, this.#call, request, this.#forward);
    this.#inFlight.push(append);
    append.catch(() => undefined); // handled in its turn, below
    this.#last = this.#last
      .then(() => append)
      .then((appended) => {
        this.#summary.add(appended);
        this.#inFlight.shift();
        this.#share.end(size);
        if (this.#inFlight.length === 0) this.#call.written = "no";
        this.#pauseOrResume();
      });
    this.#last.catch((reason) => this.#stopInput(reason));
  }

  #onEnd(): void {
    if (this.#inputOver) return;
    this.#inputOver = true;
    const { pending } = this.#envelopes;
    if (pending > 0) this.#stopInput(incompleteMessage(pending));
    else
      this.#last.then(
        () => this.#finish().catch((reason) => this.#call.fail(reason)),
        (reason) => this.#stopInput(reason),
      );
  }

  async #finish(): Promise<void> {
    const { log, logs } = this.#context;
    // Without a batch, the summary is about `default`.
    if (this.#summary.batches === 0) logs.refFor(this.#call.tracked, { log: "" });
    const { firstOffset, records, batches, nextOffset, logId } = await this.#summary.done(log);
    const id = logIdField(logIdTags.produceBulk, logs.idText(logId), logs.tokenOf(logId, nextOffset));
    this.#call.finish(produceBulkResponse(firstOffset, records, batches, nextOffset, id));
  }

  /** Fails the call when all appends have settled, with the first failure in the order of the batches. */
  #stopInput(reason: unknown): void {
    this.#inputOver = true;
    this.#last.then(
      () => this.#call.fail(reason),
      async (earlier) => {
        const later = await Promise.allSettled(this.#inFlight.slice(1));
        this.#call.fail(streamFailure(earlier, {}, later));
      },
    );
  }

  #pauseOrResume(): void {
    const { stream, over } = this.#call;
    if (over) return;
    if (this.#inFlight.length >= batchesInFlightMax || this.#share.isFull) stream.pause();
    else stream.resume();
  }
}
