/**
 * One call in the express lane: its stream, its answer and its place in the call tracker. However it ends (well,
 * with an error, by deadline, revoked, the client gone), it ends once and `onEnd` frees what it holds.
 *
 * Never: knows a method's messages.
 */
import { Fault } from "../../fault.ts";
import type { Timer } from "../../lib/time/clock.ts";
import { type MemoryBudget, type MemoryShare, stalledFault } from "../../memory/mod.ts";
import type { Written } from "../../types.ts";
import { whileWriting } from "../calls/abort.ts";
import type { Call, CallTracker } from "../calls/call-tracker.ts";
import { requestTimedOut } from "../http/exchange.ts";
import { Answer } from "./answer.ts";
import type { LaneStream } from "./fast-stream.ts";
import type { ExpressRequest } from "./recognize.ts";

export class ExpressCall {
  readonly stream: LaneStream;
  readonly request: ExpressRequest;
  readonly call: Call;
  readonly answer: Answer;
  /** Counts what is held of the request; given back when the call ends. */
  readonly held: MemoryShare;
  /** What is known of the write when the call is cut short. */
  written: Written = "no";
  /** What to tell of a failure besides. */
  explain: ((reason: unknown) => unknown) | undefined;
  /** Called once when the call ends, to free what it holds. */
  onEnd: (() => void) | undefined;
  readonly #calls: CallTracker;
  #deadline: Timer | undefined;
  #over = false;
  /** What the call takes by itself, where it may be ended for it. */
  readonly #standing: MemoryShare | undefined;

  /** `call` has begun at `calls`; `deadline` will call back when its time is up. */
  constructor(
    stream: LaneStream,
    request: ExpressRequest,
    call: Call,
    calls: CallTracker,
    memory: MemoryBudget,
    deadline: ((expire: () => void) => Timer) | undefined,
  ) {
    this.stream = stream;
    this.request = request;
    this.call = call;
    this.#calls = calls;
    this.held = memory.share("in", this.#cutShort);
    if (memory.busy && !call.long) {
      this.#standing = memory.share("standing", this.#cutShort);
      this.#standing.attribute(call.counted);
    }
    this.answer = new Answer(stream, request);
    stream.onClose = this.#onClose;
    stream.onLate = () => this.fail(requestTimedOut());
    call.onRevoked = (fault) => this.fail(whileWriting(fault, this.written));
    this.#deadline = deadline?.(() => this.fail(new Fault("deadline", { written: this.written })));
  }

  /** True once the call has ended in whatever way. */
  get over(): boolean {
    return this.#over;
  }

  /** Ends a unary call with its enveloped message. */
  finish(envelope: Uint8Array): void {
    if (!this.#begin()) return;
    this.answer.finish(envelope);
    this.#settle(undefined);
  }

  /** Ends a stream well. */
  end(): void {
    if (!this.#begin()) return;
    this.answer.end();
    this.#settle(undefined);
  }

  /** Ends the call with an error. */
  fail(failure: unknown): void {
    if (!this.#begin()) return;
    const reason = this.explain === undefined ? failure : this.explain(failure);
    this.answer.fail(reason);
    this.#settle(reason);
  }

  /** Memory is short, and nothing has moved here for a while. An append that has begun is not given up. */
  readonly #cutShort = (): void => {
    if (this.written === "no") this.fail(stalledFault());
  };

  readonly #onClose = (): void => {
    if (this.#begin()) this.#settle(new Fault("canceled", { written: this.written }));
  };

  /** True once: whoever gets it ends the call. Answering may close the stream, which must then change nothing. */
  #begin(): boolean {
    const first = !this.#over;
    this.#over = true;
    return first;
  }

  #settle(reason: unknown): void {
    this.#deadline?.cancel();
    this.#deadline = undefined;
    this.held.hold(0);
    this.#standing?.attribute(0);
    this.#calls.endCall(this.call, reason);
    const { onEnd } = this;
    this.onEnd = undefined;
    onEnd?.();
  }
}
