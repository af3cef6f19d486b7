/**
 * One call in the express lane: its stream, its answer and its beginning and end at the desk. However it ends (well,
 * with an error, by deadline, revoked, the client gone), it ends once and `onEnd` frees what it holds.
 *
 * Never: knows a method's messages.
 */
import type { ServerHttp2Stream } from "node:http2";
import { Fault } from "../../fault.ts";
import type { Timer } from "../../lib/clock.ts";
import type { Written } from "../../vocabulary.ts";
import type { Call, CallDesk } from "../call.ts";
import { Answer } from "./answer.ts";
import type { ExpressRequest } from "./recognise.ts";

export class ExpressCall {
  readonly stream: ServerHttp2Stream;
  readonly request: ExpressRequest;
  readonly call: Call;
  readonly answer: Answer;
  /** What is known of the write when the call is cut short. */
  written: Written = "no";
  /** Called once when the call ends, to free what it holds. */
  onEnd: (() => void) | undefined;
  readonly #desk: CallDesk;
  #deadline: Timer | undefined;
  #over = false;

  /** `call` has begun at `desk`; `deadline` will call back when its time is up. */
  constructor(
    stream: ServerHttp2Stream,
    request: ExpressRequest,
    call: Call,
    desk: CallDesk,
    deadline: ((expire: () => void) => Timer) | undefined,
  ) {
    this.stream = stream;
    this.request = request;
    this.call = call;
    this.#desk = desk;
    this.answer = new Answer(stream, request);
    stream.once("close", this.#onClose);
    call.onRevoked = (fault) => this.fail(fault);
    this.#deadline = deadline?.(() => this.fail(new Fault("deadline", { written: this.written })));
  }

  /** True once the call has ended in whatever way. */
  get over(): boolean {
    return this.#over;
  }

  /** Ends a unary call with its enveloped message. */
  finish(envelope: Uint8Array): void {
    if (this.#over) return;
    this.answer.finish(envelope);
    this.#end(undefined);
  }

  /** Ends a stream well. */
  end(): void {
    if (this.#over) return;
    this.answer.end();
    this.#end(undefined);
  }

  /** Ends the call with an error. */
  fail(reason: unknown): void {
    if (this.#over) return;
    this.answer.fail(reason);
    this.#end(reason);
  }

  readonly #onClose = (): void => {
    if (!this.#over) this.#end(new Fault("canceled", { written: this.written }));
  };

  #end(reason: unknown): void {
    this.#over = true;
    this.#deadline?.cancel();
    this.#deadline = undefined;
    this.#desk.endCall(this.call, reason);
    const { onEnd } = this;
    this.onEnd = undefined;
    onEnd?.();
  }
}
