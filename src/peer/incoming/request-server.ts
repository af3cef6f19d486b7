/**
 * Serves the requests of one connection: appends and trims by the log, all others by the PeerService.
 *
 *   request → permission check → check of the records → log.append (not forwarded again) → response
 *
 * The number of running requests and their bytes are limited. Requests beyond that are rejected as not written.
 */
import { anonymousSubject } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { AppendOptions, CommitLog, LogCatalog } from "../../types.ts";
import type { PeerHello } from "../handshake/introduction.ts";
import { changedToValue, changeFromValue } from "../wire/log-change-codec.ts";
import type { EncodedPeerFrame } from "../wire/peer-frame.ts";
import {
  appendVerb,
  changeVerb,
  decodeRecords,
  decodeValue,
  type ReceivedRequest,
  trimVerb,
} from "../wire/request-codec.ts";
import { appendedToValue, encodeFailure, encodeResponse } from "../wire/response-codec.ts";

/** Serves all requests of peers except appends and trims. */
export interface PeerService {
  /** The result is sent back, and so is a rejection. `signal` aborts at the deadline and when the peer disconnects. */
  ask(verb: string, body: unknown, from: PeerHello, signal: AbortSignal): Promise<unknown>;
}

/** What a forwarded write does to a log, as policies name it. */
export type ForwardedAction = "produce" | "consume" | "trim" | "create" | "configure" | "delete" | "cursor";

/** What forwarded writes are executed on. */
export type ForwardTarget = Pick<CommitLog, "append" | "trim"> & {
  readonly named: Pick<LogCatalog, "change">;
};

const actionOf = {
  create: "create",
  fork: "create",
  update: "configure",
  close: "configure",
  delete: "delete",
  touch: "consume",
  "commit-cursor": "cursor",
  "delete-cursor": "cursor",
} as const;

/** What a fork does to its source: it shows the records, and keeps them from trims and retention. */
const forkedActions = ["consume", "trim"] as const;

const appendActions = ["produce"] as const;
/** An append that closes its log. */
const closingActions = ["configure", "produce"] as const;

/** The subject of a forwarded append or trim. */
export interface ForwardedCaller {
  readonly subject: string;
  readonly isPeer: boolean;
}

/** A forwarded write that is running. */
export interface ForwardedCall {
  /** The trace context for work that the call causes. */
  readonly traceparent: string | undefined;
  /** Called once. `fault` is set if the call failed. */
  end(fault: Fault | undefined, bytesIn: number): void;
}

export interface ForwardedStart {
  readonly verb: typeof appendVerb | typeof trimVerb | typeof changeVerb;
  readonly subject: string;
  /** The node that received the call from a client. */
  readonly from: Pick<PeerHello, "name" | "address">;
  readonly traceparent: string | undefined;
}

export interface RequestServerOptions {
  readonly clock: Clock;
  readonly from: PeerHello;
  /** Undefined before this node has a log. */
  readonly log: () => ForwardTarget | undefined;
  readonly service: PeerService;
  /** Is the peer a member of this node's configuration? Only members may forward writes. Default true. */
  readonly isMember?: () => boolean;
  /** @throws Fault if the caller has no permission */
  readonly authorize:
    | ((caller: ForwardedCaller, action: ForwardedAction, log: string | undefined) => void)
    | undefined;
  /** Called at the start of each append and trim. */
  readonly begin: ((start: ForwardedStart) => ForwardedCall) | undefined;
  readonly respond: (frame: EncodedPeerFrame) => void;
  /** Maximum number of running requests. */
  readonly requestsMax: number;
  /** Maximum bytes of the bodies of running requests. */
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

  /** Starts to serve a request. The response is sent when it is settled. */
  take(request: ReceivedRequest): void {
    const { respond, requestsMax, requestBytesMax } = this.#options;
    const bytes = request.body.length;
    if (this.#requests >= requestsMax || this.#bytes + bytes > requestBytesMax) {
      respond(
        encodeFailure(request.id, new Fault("overloaded", { message: "too many requests of this peer" })),
      );
      return;
    }
    this.#requests++;
    this.#bytes += bytes;
    this.#serve(request).then(
      (value) => this.#settled(request, () => encodeResponse(request.id, value)),
      (reason: unknown) => this.#settled(request, () => encodeFailure(request.id, reason)),
    );
  }

  /** The connection has ended: running requests of the PeerService are aborted, and no responses are sent. */
  close(): void {
    this.#closed = true;
    for (const abort of this.#aborts) abort.abort();
    this.#aborts.clear();
  }

  #settled({ id, body }: ReceivedRequest, encode: () => EncodedPeerFrame): void {
    this.#requests--;
    this.#bytes -= body.length;
    if (this.#closed) return;
    let response: EncodedPeerFrame;
    try {
      response = encode();
    } catch (reason) {
      response = encodeFailure(id, reason);
    }
    this.#options.respond(response);
  }

  async #serve(request: ReceivedRequest): Promise<unknown> {
    const { verb } = request;
    if (verb !== appendVerb && verb !== trimVerb && verb !== changeVerb) return this.#ask(request);
    const { subject = anonymousSubject, traceparent } = request.options;
    const call = this.#options.begin?.({ verb, subject, from: this.#options.from, traceparent });
    let fault: Fault | undefined;
    try {
      const options = this.#appendOptions(request, call?.traceparent ?? traceparent);
      if (verb === changeVerb) return await this.#change(request, options);
      return await (verb === appendVerb ? this.#append(request, options) : this.#trim(request, options));
    } catch (reason) {
      fault = Fault.from(reason);
      throw reason;
    } finally {
      call?.end(fault, request.body.length);
    }
  }

  async #append(request: ReceivedRequest, options: AppendOptions): Promise<unknown> {
    const run = decodeRecords(request);
    const closes = request.options.stream?.closes === true;
    const actions = closes ? closingActions : appendActions;
    // As for a client: one that only closes the log appends nothing.
    const required = run.count === 0 ? actions.slice(0, 1) : actions;
    const [log] = required.map((action) => this.#logFor(request, action));
    return appendedToValue(await log!.append(run, options));
  }

  async #trim(request: ReceivedRequest, options: AppendOptions): Promise<unknown> {
    const before = decodeValue(request);
    if (typeof before !== "number" || !Number.isSafeInteger(before) || before < 0) {
      throw new Fault("bad-request", { message: "the body of a trim is not an offset" });
    }
    return this.#logFor(request, "trim").trim(before, options);
  }

  async #change(request: ReceivedRequest, options: AppendOptions): Promise<unknown> {
    const change = changeFromValue(decodeValue(request));
    if (change.kind === "fork")
      for (const action of forkedActions) this.#logFor(request, action, change.source.name);
    const object = "log" in change ? change.log.name : change.name;
    const log = this.#logFor(request, actionOf[change.kind], object);
    return changedToValue(await log.named.change(change, options));
  }

  #logFor(
    request: ReceivedRequest,
    action: ForwardedAction,
    object = request.options.log?.name,
  ): ForwardTarget {
    const { authorize, log, from, isMember } = this.#options;
    if (isMember?.() === false) {
      throw new Fault("failed-precondition", {
        message: `${from.name} is not a member of this cluster, it takes no writes`,
        facts: { node: from.name },
      });
    }
    const caller = { subject: request.options.subject ?? anonymousSubject, isPeer: false };
    authorize?.(caller, action, object);
    const found = log();
    if (found === undefined) throw new Fault("unavailable", { message: "this node has no log yet" });
    return found;
  }

  #appendOptions({ options, remainingMs }: ReceivedRequest, traceparent: string | undefined): AppendOptions {
    const deadlineMs = this.#options.clock.monotonicMs() + remainingMs;
    const trace = traceparent === undefined ? {} : { traceparent };
    return { ...options, ...trace, deadlineMs, forward: false, forwarded: true };
  }

  async #ask(request: ReceivedRequest): Promise<unknown> {
    const { service, from, clock } = this.#options;
    const abort = new AbortController();
    this.#aborts.add(abort);
    const timer: Timer = clock.after(request.remainingMs, () => abort.abort());
    try {
      return await service.ask(request.verb, decodeValue(request), from, abort.signal);
    } finally {
      timer.cancel();
      this.#aborts.delete(abort);
    }
  }
}
