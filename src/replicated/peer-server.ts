/**
 * Answers what one connection asks: appends and trims are the log's, everything else is the service's.
 *
 *   request → walked, allowed here too → log.append (one hop: never forwarded again) → answer
 *
 * Bounded: requests at once and the bytes that came with them. Beyond that they are refused, as not written.
 *
 * Never: forwards; lets a request outlive its caller's patience.
 */
import { anonymousSubject } from "../access/mod.ts";
import { Fault } from "../fault.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { AppendOptions, CommitLog } from "../vocabulary.ts";
import type { EncodedFrame } from "./peer-codec.ts";
import type { PeerHello } from "./peer-handshake.ts";
import {
  appendVerb,
  encodeAnswer,
  encodeFailure,
  packAppended,
  type Request,
  runOf,
  trimVerb,
  valueIn,
} from "./peer-requests.ts";

/** Answers what peers ask, but for appends and trims. */
export interface PeerService {
  /** A Fault that it rejects with travels back. `signal` aborts when the asker is gone or out of time. */
  ask(verb: string, body: unknown, from: PeerHello, signal: AbortSignal): Promise<unknown>;
}

/** Who wants an append or a trim done, as far as decisions need to know. */
export interface ForwardedCaller {
  readonly subject: string;
  readonly isPeer: boolean;
}

export interface PeerServerOptions {
  readonly clock: Clock;
  readonly from: PeerHello;
  /** Undefined before this node has one. */
  readonly log: () => Pick<CommitLog, "append" | "trim"> | undefined;
  readonly service: PeerService;
  /** Throws the Fault that refuses the caller. */
  readonly authorize: ((caller: ForwardedCaller, action: "produce" | "trim") => void) | undefined;
  readonly answer: (frame: EncodedFrame) => void;
  readonly requestsMax: number;
  readonly requestBytesMax: number;
}

export class PeerServer {
  readonly #options: PeerServerOptions;
  readonly #aborts = new Set<AbortController>();
  #requests = 0;
  #bytes = 0;
  #closed = false;

  constructor(options: PeerServerOptions) {
    this.#options = options;
  }

  /** Answers in its own time. */
  take(request: Request): void {
    const { answer, requestsMax, requestBytesMax } = this.#options;
    const bytes = request.body.length;
    if (this.#requests >= requestsMax || this.#bytes + bytes > requestBytesMax) {
      answer(
        encodeFailure(request.id, new Fault("overloaded", { message: "too many requests of this peer" })),
      );
      return;
    }
    this.#requests++;
    this.#bytes += bytes;
    this.#work(request).then(
      (value) => this.#done(bytes, () => encodeAnswer(request.id, value)),
      (reason: unknown) => this.#done(bytes, () => encodeFailure(request.id, reason)),
    );
  }

  /** The connection has ended: nobody waits any more. */
  close(): void {
    this.#closed = true;
    for (const abort of this.#aborts) abort.abort();
    this.#aborts.clear();
  }

  #done(bytes: number, frame: () => EncodedFrame): void {
    this.#requests--;
    this.#bytes -= bytes;
    if (!this.#closed) this.#options.answer(frame());
  }

  async #work(request: Request): Promise<unknown> {
    if (request.verb === appendVerb) return this.#append(request);
    if (request.verb === trimVerb) return this.#trim(request);
    return this.#ask(request);
  }

  async #append(request: Request): Promise<unknown> {
    const run = runOf(request);
    const log = this.#logFor(request, "produce");
    return packAppended(await log.append(run, this.#optionsOf(request)));
  }

  async #trim(request: Request): Promise<unknown> {
    const before = valueIn(request);
    if (typeof before !== "number" || !Number.isSafeInteger(before) || before < 0) {
      throw new Fault("bad-request", { message: "not an offset" });
    }
    return this.#logFor(request, "trim").trim(before, this.#optionsOf(request));
  }

  #logFor(request: Request, action: "produce" | "trim"): Pick<CommitLog, "append" | "trim"> {
    const { authorize, log } = this.#options;
    // Whoever has no name is nobody: what nobody may do is for the policy to say.
    authorize?.({ subject: request.options.subject ?? anonymousSubject, isPeer: false }, action);
    const found = log();
    if (found === undefined) throw new Fault("unavailable", { message: "this node has no log yet" });
    return found;
  }

  #optionsOf({ options, remainingMs }: Request): AppendOptions {
    return { ...options, deadlineMs: this.#options.clock.wallMs() + remainingMs, forward: false };
  }

  async #ask(request: Request): Promise<unknown> {
    const { service, from, clock } = this.#options;
    const abort = new AbortController();
    this.#aborts.add(abort);
    const timer: Timer = clock.after(request.remainingMs, () => abort.abort());
    try {
      return await service.ask(request.verb, valueIn(request), from, abort.signal);
    } finally {
      timer.cancel();
      this.#aborts.delete(abort);
    }
  }
}
