/**
 * ProduceBulk: batches in, one summary out. Each message is one atomic append; several are under way at once.
 * Bounded like a ProduceStream, and in order like one. The first batch that fails ends it, once it is known what became of
 * those behind it.
 */
import type { Appended } from "../../types.ts";
import { requireRecords } from "../methods/append-message.ts";
import { BulkSummary } from "../methods/bulk-summary.ts";
import type { StreamShare } from "../methods/stream-budget.ts";
import { streamFailure } from "../methods/stream-failure.ts";
import { EnvelopeReader } from "./envelope.ts";
import type { ExpressCall } from "./fast-call.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import type { Lane, Serve } from "./fast-path.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import { manyRecords, readSlowly, startAppend } from "./produce.ts";
import { AppendRequest } from "./request-codec.ts";
import { produceBulkResponse } from "./response-codec.ts";
import { checkFlags, cutShort, guard } from "./unary-body.ts";

const pendingMax = 64;

export const produceBulk: Serve = (lane, express, forward) => {
  new ProduceBulk(lane, express, forward).open();
};

class ProduceBulk {
  readonly #lane: Lane;
  readonly #express: ExpressCall;
  readonly #forward: boolean;
  readonly #reader: EnvelopeReader;
  readonly #request: AppendRequest;
  readonly #summary = new BulkSummary();
  /** Settles when all that was begun so far has, in order; its failure is the first. */
  #last: Promise<void> = Promise.resolve();
  /** Those that are not in the summary yet, in order. */
  #begun: Promise<Appended>[] = [];
  #pending = 0;
  readonly #share: StreamShare;
  #inputOver = false;

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
    guard(this.#express, (chunk) => this.#onChunk(chunk));
    stream.onEnd = () => this.#onEnd();
    this.#express.explain = (reason) => streamFailure(reason, this.#summary.progress, []);
    this.#express.onEnd = () => {
      this.#inputOver = true;
      this.#share[Symbol.dispose]();
    };
  }

  #onChunk(chunk: Uint8Array): void {
    if (this.#inputOver) return;
    try {
      this.#reader.push(chunk);
      while (this.#reader.take()) {
        checkFlags(this.#reader.flags);
        this.#append();
      }
    } catch (reason) {
      this.#stopInput(reason);
    }
    this.#gate();
  }

  #append(): void {
    const { bytes, start, end } = this.#reader;
    const { recordsMin, recordsMax } = manyRecords;
    const request = this.#request.read(bytes, start, end, recordsMin, recordsMax)
      ? this.#request
      : readSlowly(this.#lane, this.#express, manyRecords, bytes.subarray(start, end));
    requireRecords(request.run);
    const size = request.run.bytes.length;
    this.#pending++;
    this.#share.begin(size);
    const append = startAppend(this.#lane, this.#express, request, this.#forward);
    this.#begun.push(append);
    append.catch(() => undefined); // reported in its turn, below
    this.#last = this.#last
      .then(() => append)
      .then((appended) => {
        this.#summary.add(appended);
        this.#begun.shift();
        this.#pending--;
        this.#share.end(size);
        if (this.#pending === 0) this.#express.written = "no";
        this.#gate();
      });
    this.#last.catch((reason) => this.#stopInput(reason));
  }

  #onEnd(): void {
    if (this.#inputOver) return;
    this.#inputOver = true;
    if (this.#reader.pending > 0) this.#stopInput(cutShort(this.#reader.pending));
    else
      this.#last.then(
        () => this.#finish().catch((reason) => this.#express.fail(reason)),
        (reason) => this.#stopInput(reason),
      );
  }

  async #finish(): Promise<void> {
    const { firstOffset, records, batches, nextOffset } = await this.#summary.done(this.#lane.log);
    this.#express.finish(produceBulkResponse(firstOffset, records, batches, nextOffset));
  }

  /** Fails the call once all that was begun is settled, with the first failure in the order of the batches. */
  #stopInput(reason: unknown): void {
    this.#inputOver = true;
    this.#last.then(
      () => this.#express.fail(reason),
      async (earlier) => {
        const behind = await Promise.allSettled(this.#begun.slice(1));
        this.#express.fail(streamFailure(earlier, {}, behind));
      },
    );
  }

  #gate(): void {
    const { stream, over } = this.#express;
    if (over) return;
    if (this.#pending >= pendingMax || this.#share.isFull) stream.pause();
    else stream.resume();
  }
}
