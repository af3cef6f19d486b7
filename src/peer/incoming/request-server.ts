/**
 * Answers what one connection asks: appends and trims are the log's, everything else is the service's.
 *
 *   request → walked, allowed here too → log.append (one hop: never forwarded again) → answer
 *
 * A write is a call here as well as where it came in, and is told as one (`begin`).
 *
 * Bounded: requests at once and the bytes that came with them. Beyond that they are refused, as not written.
 *
 * Never: forwards; lets a request outlive its caller's patience.
 */
import { anonymousSubject } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { AppendOptions, CommitLog } from "../../types.ts";
import type { PeerHello } from "../handshake/handshake.ts";
import type { EncodedPeerFrame } from "../wire/peer-frame.ts";
import {
  appendVerb,
  encodeAnswer,
  encodeFailure,
  packAppended,
  type Request,
  runOf,
  trimVerb,
  valueIn,
} from "../wire/request-codec.ts";

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

/** A write that came in at another node and is done here. Whoever began it ends it, once. */
export interface ForwardedCall {
  /** To hand on with what it causes. */
  readonly traceparent: string | undefined;
  /** `fault` is why it failed, if it did. */
  end(fault: Fault | undefined, bytesIn: number): void;
}

export interface ForwardedStart {
  readonly verb: typeof appendVerb | typeof trimVerb;
  readonly subject: string;
  /** Where it came in. */
  readonly from: Pick<PeerHello, "name" | "address">;
  readonly traceparent: string | undefined;
}

export interface RequestServerOptions {
  readonly clock: Clock;
  readonly from: PeerHello;
  /** Undefined before this node has one. */
  readonly log: () => Pick<CommitLog, "append" | "trim"> | undefined;
  readonly service: PeerService;
  /** Is the node that asks a member of this one's configuration? Only members write here for others. */
  readonly isMember?: () => boolean;
  /** Throws the Fault that refuses the caller. */
  readonly authorize: ((caller: ForwardedCaller, action: "produce" | "trim") => void) | undefined;
  /** Told of each append and trim. */
  readonly begin: ((start: ForwardedStart) => ForwardedCall) | undefined;
  readonly answer: (frame: EncodedPeerFrame) => void;
  readonly requestsMax: number;
  readonly requestBytesMax: number;
}

export class RequestServer {
  readonly #options: RequestServerOptions;
  readonly #aborts = new Set<AbortController>();
  #requests = 0;
  #bytes = 0;
  #closed = false;

  constructor(options: RequestServerOptions) {
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
      (value) => this.#done(request.id, bytes, () => encodeAnswer(request.id, value)),
      (reason: unknown) => this.#done(request.id, bytes, () => encodeFailure(request.id, reason)),
    );
  }

  /** The connection has ended: nobody waits any more. */
  close(): void {
    this.#closed = true;
    for (const abort of this.#aborts) abort.abort();
    this.#aborts.clear();
  }

  #done(id: Request["id"], bytes: number, encode: () => EncodedPeerFrame): void {
    this.#requests--;
    this.#bytes -= bytes;
    if (this.#closed) return;
    let frame: EncodedPeerFrame;
    try {
      frame = encode();
    } catch (reason) {
      frame = encodeFailure(id, reason);
    }
    this.#options.answer(frame);
  }

  async #work(request: Request): Promise<unknown> {
    const { verb } = request;
    if (verb !== appendVerb && verb !== trimVerb) return this.#ask(request);
    const { subject = anonymousSubject, traceparent } = request.options;
    const call = this.#options.begin?.({ verb, subject, from: this.#options.from, traceparent });
    let fault: Fault | undefined;
    try {
      const options = this.#optionsOf(request, call?.traceparent ?? traceparent);
      return await (verb === appendVerb ? this.#append(request, options) : this.#trim(request, options));
    } catch (reason) {
      fault = Fault.from(reason);
      throw reason;
    } finally {
      call?.end(fault, request.body.length);
    }
  }

  async #append(request: Request, options: AppendOptions): Promise<unknown> {
    const run = runOf(request);
    return packAppended(await this.#logFor(request, "produce").append(run, options));
  }

  async #trim(request: Request, options: AppendOptions): Promise<unknown> {
    const before = valueIn(request);
    if (typeof before !== "number" || !Number.isSafeInteger(before) || before < 0) {
      throw new Fault("bad-request", { message: "not an offset" });
    }
    return this.#logFor(request, "trim").trim(before, options);
  }

  #logFor(request: Request, action: "produce" | "trim"): Pick<CommitLog, "append" | "trim"> {
    const { authorize, log, from, isMember } = this.#options;
    if (isMember?.() === false) {
      throw new Fault("failed-precondition", {
        message: `${from.name} is not a member of this cluster, it takes no writes`,
        facts: { node: from.name },
      });
    }
    // Whoever has no name is nobody: what nobody may do is for the policy to say.
    authorize?.({ subject: request.options.subject ?? anonymousSubject, isPeer: false }, action);
    const found = log();
    if (found === undefined) throw new Fault("unavailable", { message: "this node has no log yet" });
    return found;
  }

  #optionsOf({ options, remainingMs }: Request, traceparent: string | undefined): AppendOptions {
    const deadlineMs = this.#options.clock.monotonicMs() + remainingMs;
    const trace = traceparent === undefined ? {} : { traceparent };
    return { ...options, ...trace, deadlineMs, forward: false, forwarded: true };
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
