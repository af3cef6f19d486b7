/**
 * Makes one call to the cluster: picks a node, makes an attempt, and makes another one on another node where that is
 * safe (retry-policy.ts). The deadline and a number of attempts limit the call.
 *
 * If the outcome of any attempt was unknown, a call that fails says "unknown", whatever the last attempt said.
 */
import type { Transport } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import type { Prng } from "../../lib/prng.ts";
import { type Clock, timeoutMsMax } from "../../lib/time/clock.ts";
import { anySignal, canceledFault, rejectionOf } from "./abort-signals.ts";
import { sleep, within } from "./abortable-wait.ts";
import { type BackoffSettings, backoffMs } from "./backoff.ts";
import { ClusterResolver } from "./cluster-resolver.ts";
import { Connections, type Dial } from "./connections.ts";
import { afterFailure, withAddress, withoutConnection } from "./fault-context.ts";
import { type Effect, faultOf, retryDelayOf } from "./fault-of.ts";
import { FirstContact } from "./first-contact.ts";
import { NodePicker, type Purpose } from "./node-picker.ts";
import {
  abortedFault,
  damagedResponsesMax,
  isNodeFault,
  isRetrySafe,
  withUnknownOutcome,
} from "./retry-policy.ts";

export interface RetryingCallerOptions {
  readonly seeds: readonly string[];
  readonly dial: Dial;
  readonly clock: Clock;
  readonly chance: Prng;
  readonly backoff: BackoffSettings;
  readonly attemptsMax: number;
  /** How long to try to reach a first node, in milliseconds. */
  readonly firstContactMs: number;
  /** Whether to ask the nodes for the others. If false, only the seeds are used. */
  readonly discover: boolean;
  readonly serversFreshMs: number;
}

export interface CallOptions {
  readonly purpose: Purpose;
  readonly effect: Effect;
  /** Whether the node recognizes a duplicate of the request. Default false. */
  readonly repeatable?: boolean;
  /** Time of the monotonic clock. Infinite for a stream without an end. */
  readonly deadlineMs: number;
  /** Timeout of one attempt, in milliseconds. Default: the time left until the deadline. */
  readonly attemptMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Nodes that failed. Each attempt adds its node, so that the next one goes elsewhere. */
  readonly avoid?: Set<string>;
}

/** The node and the limits of one attempt. */
export interface Attempt {
  readonly addr: string;
  readonly transport: Transport;
  readonly signal: AbortSignal | undefined;
  /** Undefined for a stream without an end. */
  readonly timeoutMs: number | undefined;
}

const resolveRequestMs = 2_000;

export class RetryingCaller implements Disposable {
  readonly picker: NodePicker;
  readonly resolver: ClusterResolver;
  readonly #options: RetryingCallerOptions;
  readonly #connections: Connections;
  readonly #closing = new AbortController();
  readonly #firstContact: FirstContact;

  constructor(options: RetryingCallerOptions) {
    this.#options = options;
    this.#connections = new Connections(options.dial);
    this.#firstContact = new FirstContact(options.firstContactMs);
    this.picker = new NodePicker(options.seeds);
    this.resolver = new ClusterResolver({
      picker: this.picker,
      transportTo: (addr) => this.#connections.to(addr),
      isConnecting: (addr) => this.#connections.isConnecting(addr),
      onResponse: () => this.responded(),
      clock: options.clock,
      freshMs: options.serversFreshMs,
      requestMs: resolveRequestMs,
      signal: this.#closing.signal,
    });
  }

  /** Is aborted when the client is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  transportTo(addr: string): Transport {
    return this.#connections.to(addr);
  }

  /**
   * Makes attempts until one succeeds or no further one is safe.
   * @throws the Fault of the last attempt, or the reason of `options.signal` if that was aborted and nothing was written
   */
  async call<T>(options: CallOptions, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    const { clock, chance, backoff } = this.#options;
    const attempt = { ...options, avoid: options.avoid ?? new Set<string>() };
    let isUnknown = false;
    let last: Fault | undefined;
    for (let failures = 1; ; failures++) {
      try {
        return await this.attempt(attempt, work);
      } catch (reason) {
        const fault = afterFailure(faultOf(reason, options.effect), last);
        last = fault;
        isUnknown ||= fault.written === "unknown";
        const waitMs = backoffMs(backoff, failures, chance, retryDelayOf(fault));
        if (!this.#mayRetry(fault, failures, waitMs, options))
          throw isUnknown ? withUnknownOutcome(fault) : rejectionOf(fault, options.signal);
        await sleep(clock, waitMs, anySignal(this.closing, options.signal));
      }
    }
  }

  #mayRetry(fault: Fault, failures: number, waitMs: number, options: CallOptions): boolean {
    const { clock, attemptsMax } = this.#options;
    return (
      failures < attemptsMax &&
      !this.closing.aborted &&
      options.signal?.aborted !== true &&
      clock.monotonicMs() + waitMs < options.deadlineMs &&
      (fault.kind !== "corrupt" || failures < damagedResponsesMax) &&
      isRetrySafe(fault, options.effect, options.repeatable === true)
    );
  }

  /**
   * Makes one attempt at one node, and records what its fault says about the node.
   * @throws the Fault of the attempt
   */
  async attempt<T>(options: CallOptions, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
    try {
      return await this.#attempt(options, work);
    } catch (reason) {
      const fault = faultOf(reason, options.effect);
      const addresses = this.picker.addresses.length;
      throw this.#firstContact.failed(fault, addresses, startedMs, clock.monotonicMs());
    }
  }

  async #attempt<T>(options: CallOptions, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    const { clock } = this.#options;
    this.#checkOpen(options.signal);
    const leftMs = options.deadlineMs - clock.monotonicMs();
    if (leftMs <= 0) throw new Fault("deadline");
    if (this.#options.discover) await this.#discover(options, leftMs);
    const addr = this.picker.pick(options.purpose, clock.monotonicMs(), options.avoid);
    const signal = anySignal(this.closing, options.signal);
    const timeoutMs = this.#attemptTimeoutMs(options);
    try {
      const result = await work({ addr, transport: this.#connections.to(addr), signal, timeoutMs });
      this.responded();
      this.picker.succeeded(addr);
      return result;
    } catch (reason) {
      const isConnecting = this.#connections.isConnecting(addr);
      const failed = faultOf(reason, options.effect);
      const fault = isConnecting ? withoutConnection(failed, addr) : withAddress(failed, addr);
      if (signal?.aborted === true) throw abortedFault(signal, fault, options.effect);
      this.recordFault(addr, fault, options.avoid);
      throw fault;
    }
  }

  /** At most `timeoutMsMax`, because Connect passes the timeout to setTimeout. */
  #attemptTimeoutMs({ deadlineMs, attemptMs }: CallOptions): number | undefined {
    const leftMs = Math.max(1, Math.ceil(deadlineMs - this.#options.clock.monotonicMs()));
    const timeoutMs = Math.min(leftMs, attemptMs ?? Number.POSITIVE_INFINITY);
    return Number.isFinite(timeoutMs) ? Math.min(timeoutMs, timeoutMsMax) : undefined;
  }

  /** Records that a node was reached. A stream reports it as soon as it is open, because it may end only with its connection. */
  responded(): void {
    this.#firstContact.reached();
  }

  /** Records what a fault says about the node at `addr`: it is avoided for a while, or another node is the leader. */
  recordFault(addr: string, fault: Fault, avoid?: Set<string>): void {
    const { clock, backoff, chance } = this.#options;
    avoid?.add(addr);
    if (fault.kind === "not-leader") {
      this.picker.setLeader(fault.facts.leader, fault.facts.address);
      this.resolver.markStale();
      return;
    }
    if (!isNodeFault(fault)) return;
    const waitMs = backoffMs(backoff, this.picker.failuresOf(addr) + 1, chance, retryDelayOf(fault));
    this.picker.failed(addr, clock.monotonicMs() + waitMs);
    this.resolver.markStale();
  }

  /**
   * Finds the nodes. If a node responds but does not list them, the call continues with the seeds: nodes forward. If no
   * node responds, the call fails and nothing was written.
   */
  async #discover(options: CallOptions, leftMs: number): Promise<void> {
    const { clock } = this.#options;
    try {
      await within(clock, this.resolver.ensureKnown(), leftMs, anySignal(this.closing, options.signal));
    } catch (reason) {
      this.#checkOpen(options.signal);
      const fault = faultOf(reason, "read");
      if (!isNodeFault(fault)) return;
      if (clock.monotonicMs() >= options.deadlineMs) throw new Fault("deadline", { cause: fault });
      throw new Fault("unavailable", { message: fault.message, facts: fault.facts, cause: fault });
    }
  }

  #checkOpen(signal: AbortSignal | undefined): void {
    if (this.closing.aborted) throw canceledFault(this.closing);
    if (signal?.aborted) throw canceledFault(signal);
  }

  [Symbol.dispose](): void {
    if (this.closing.aborted) return;
    this.#closing.abort(new Fault("canceled", { message: "the client is closed" }));
    this.#connections[Symbol.dispose]();
  }
}
