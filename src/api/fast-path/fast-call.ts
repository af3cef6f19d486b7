/**
 * One call on the fast path: its stream, its response and its place in the call tracker. A call ends exactly once,
 * whether it succeeds, fails, passes its deadline, is revoked or loses its client. `onEnd` then frees its resources.
 */
import { Fault } from "../../fault.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import { workTurns } from "../../lib/time/work-turns.ts";
import { type MemoryBudget, type MemoryShare, stalledFault } from "../../memory/mod.ts";
import type { Written } from "../../types.ts";
import { withWritten } from "../calls/abort.ts";
import type { Call, CallTracker } from "../calls/call-tracker.ts";
import { requestTimedOut } from "../http/exchange/exchange.ts";
import type { FastStream } from "./fast-stream.ts";
import type { FastRequest } from "./recognize.ts";
import type { ResponseHeads } from "./response-head.ts";
import { ResponseWriter } from "./response-writer.ts";

export class FastCall {
  readonly stream: FastStream;
  readonly request: FastRequest;
  /** The call as the call tracker knows it. */
  readonly tracked: Call;
  readonly response: ResponseWriter;
  /** Counts the memory of the incomplete request. Released when the call ends. */
  readonly requestMemory: MemoryShare;
  /** What is known about the write if the call is cut short now. */
  written: Written = "no";
  /** Adds facts to a failure before it is sent. */
  explain: ((reason: unknown) => unknown) | undefined;
  /** Called once when the call ends, to free its resources. */
  onEnd: (() => void) | undefined;
  readonly #calls: CallTracker;
  readonly #clock: Clock;
  #deadline: Timer | undefined;
  #over = false;
  /** The fixed cost of the call, while the budget may end the call to regain it. */
  readonly #standing: MemoryShare | undefined;

  /**
   * `tracked` was begun by `calls`. Its deadline fails the call; one that has passed already does so at once. `clock`
   * measures it.
   */
  constructor(
    stream: FastStream,
    request: FastRequest,
    heads: ResponseHeads,
    tracked: Call,
    calls: CallTracker,
    memory: MemoryBudget,
    clock: Clock,
  ) {
    this.stream = stream;
    this.request = request;
    this.tracked = tracked;
    this.#calls = calls;
    this.#clock = clock;
    this.requestMemory = memory.share("in", this.#cutShort);
    if (memory.busy && !tracked.long) {
      this.#standing = memory.share("standing", this.#cutShort);
      this.#standing.attribute(tracked.counted);
    }
    this.response = new ResponseWriter(stream, request, heads);
    stream.onClose = this.#onClose;
    stream.onTimeout = () => this.fail(requestTimedOut());
    tracked.onRevoked = (fault) => this.fail(withWritten(fault, this.written));
    const { deadlineMs } = tracked;
    if (deadlineMs === undefined || this.endIfExpired()) return;
    this.#deadline = clock.after(deadlineMs - clock.monotonicMs(), this.#onDeadline);
  }

  /** True once the call has ended. */
  get over(): boolean {
    return this.#over;
  }

  /** Ends a unary call with its response message, in an envelope. */
  finish(envelope: Uint8Array): void {
    if (!this.#beginEnd()) return;
    this.response.finish(envelope);
    this.#settle(undefined);
  }

  /** Ends a unary call with the whole body of its response, which has no envelope. */
  finishBare(body: Uint8Array): void {
    if (!this.#beginEnd()) return;
    this.response.finishBare(body);
    this.#settle(undefined);
  }

  /** Ends a stream without an error. */
  end(): void {
    if (!this.#beginEnd()) return;
    this.response.end();
    this.#settle(undefined);
  }

  /** Ends the call with an error. */
  fail(failure: unknown): void {
    if (!this.#beginEnd()) return;
    const reason = this.explain === undefined ? failure : this.explain(failure);
    this.response.fail(reason);
    this.#settle(reason);
  }

  /** Fails the call if its deadline has passed: the timer can be late. Returns true if the call is over. */
  endIfExpired(): boolean {
    const { deadlineMs } = this.tracked;
    if (!this.#over && deadlineMs !== undefined && this.#clock.monotonicMs() >= deadlineMs) this.#expire();
    return this.#over;
  }

  /**
   * Ends the call with an error when the event loop has time for it: thousands of calls can fail at the same time, for
   * example those of one append.
   */
  readonly failInTurn = (failure: unknown): void => {
    const turns = workTurns(this.#clock);
    if (this.#over || turns.mayBegin()) this.fail(failure);
    else turns.wait(() => this.fail(failure));
  };

  /** Thousands of calls can have the same deadline. */
  readonly #onDeadline = (): void => {
    const turns = workTurns(this.#clock);
    if (turns.mayBegin()) this.#expire();
    else turns.wait(this.#expire);
  };

  readonly #expire = (): void => this.fail(new Fault("deadline", { written: this.written }));

  /** Memory is short and this call made no progress. A call whose append has begun is not ended. */
  readonly #cutShort = (): void => {
    if (this.written === "no") this.fail(stalledFault());
  };

  readonly #onClose = (): void => {
    if (this.#beginEnd()) this.#settle(new Fault("canceled", { written: this.written }));
  };

  /** Returns true once. Sending the response can close the stream, and that must not end the call a second time. */
  #beginEnd(): boolean {
    const first = !this.#over;
    this.#over = true;
    return first;
  }

  #settle(reason: unknown): void {
    // What receives the body refers to the part that has arrived.
    this.stream.onData = this.stream.onEnd = undefined;
    this.#deadline?.cancel();
    this.#deadline = undefined;
    this.requestMemory.hold(0);
    this.#standing?.attribute(0);
    this.#calls.endCall(this.tracked, reason);
    const { onEnd } = this;
    this.onEnd = undefined;
    onEnd?.();
  }
}
