/**
 * One call to the cluster: a node picked, an attempt, its fault understood, and another attempt where that is safe.
 *
 *   safe := a read, or nothing was written and the kind of fault passes, or the far end can tell a duplicate
 *
 * Bounded by the deadline and by the number of attempts. Once the outcome of an attempt was unknown, a call that ends
 * in a fault says unknown, whatever the last attempt said.
 *
 * Never: repeats a write that may have happened and could happen twice.
 */
import type { Transport } from "@connectrpc/connect";
import { Fault, type FaultKind } from "../../fault.ts";
import type { Prng } from "../../lib/prng.ts";
import { type Clock, timeoutMsMax } from "../../lib/time/clock.ts";
import { anySignal, canceled, reasonOf, sleep, within } from "./abortable-wait.ts";
import { type BackoffSettings, backoffMs } from "./backoff.ts";
import { ClusterResolver } from "./cluster-resolver.ts";
import { Connections, type Dial } from "./connections.ts";
import {
  afterFailure,
  type Effect,
  faultOf,
  retryDelayOf,
  withAddress,
  withoutConnection,
} from "./fault-of.ts";
import { FirstContact } from "./first-contact.ts";
import { NodePicker, type Purpose } from "./node-picker.ts";

export interface RetryingCallerOptions {
  readonly seeds: readonly string[];
  readonly dial: Dial;
  readonly clock: Clock;
  readonly chance: Prng;
  readonly backoff: BackoffSettings;
  readonly attemptsMax: number;
  /** How long to try for a first connection, milliseconds. */
  readonly firstContactMs: number;
  /** Ask the nodes for the others; false uses the seeds alone. */
  readonly discover: boolean;
  readonly serversFreshMs: number;
}

export interface CallOptions {
  readonly purpose: Purpose;
  readonly effect: Effect;
  /** The far end knows a repetition when it sees one. */
  readonly repeatable?: boolean;
  /** Point on the monotonic clock; infinite for a stream without end. */
  readonly deadlineMs: number;
  /** The longest that one attempt may take. */
  readonly attemptMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Nodes that were tried in vain: filled by each attempt, so that the next one goes elsewhere. */
  readonly avoid?: Set<string>;
}

/** Where and how one attempt is made. */
export interface Attempt {
  readonly addr: string;
  readonly transport: Transport;
  readonly signal: AbortSignal | undefined;
  /** Undefined for a stream without end. */
  readonly timeoutMs: number | undefined;
}

/** Faults that are about the node, not about the call: another one may do better. */
const nodeFaults: readonly FaultKind[] = [
  "unavailable",
  "not-leader",
  "disk-failed",
  "interrupted",
  "unknown",
  "deadline",
  "canceled",
];
/** Of reads: worth another attempt. A read that was cut off in any way may simply be made again. */
const readAgain: readonly FaultKind[] = [...nodeFaults, "overloaded", "corrupt"];

/** Faults of writes that a repeated call would get again, also when the outcome of the write is unknown. */
const final: readonly FaultKind[] = [
  "out-of-sequence",
  "sequence-too-old",
  "unknown-producer",
  "producer-fenced",
];

/** A damaged answer may be the node's or the network's; this often it is tried elsewhere. */
const damagedMax = 3;

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
      clock: options.clock,
      freshMs: options.serversFreshMs,
      askMs: 2_000,
      signal: this.#closing.signal,
    });
  }

  /** Aborted when the client is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  transportTo(addr: string): Transport {
    return this.#connections.to(addr);
  }

  /**
   * Makes attempts until one succeeds or no further one is safe. Throws the Fault of the last one, or the reason of
   * `options.signal` when that was aborted and nothing was written.
   */
  async call<T>(options: CallOptions, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    const { clock, attemptsMax, chance, backoff } = this.#options;
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
        const again =
          failures < attemptsMax &&
          !this.closing.aborted &&
          options.signal?.aborted !== true &&
          clock.monotonicMs() + waitMs < options.deadlineMs &&
          (fault.kind !== "corrupt" || failures < damagedMax) &&
          isSafe(fault, options);
        if (!again) throw isUnknown ? asUnknown(fault) : reasonOf(fault, options.signal);
        await sleep(clock, waitMs, anySignal(this.closing, options.signal));
      }
    }
  }

  /** One attempt at one node. Throws its Fault, and remembers what it says about the node. */
  async attempt<T>(options: CallOptions, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
    try {
      const result = await this.#attempt(options, work);
      this.#firstContact.reached();
      return result;
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
    const timeoutMs = Number.isFinite(leftMs)
      ? Math.max(1, Math.ceil(options.deadlineMs - clock.monotonicMs()))
      : undefined;
    const boundMs = Math.min(
      timeoutMs ?? Number.POSITIVE_INFINITY,
      options.attemptMs ?? Number.POSITIVE_INFINITY,
    );
    try {
      const result = await work({
        addr,
        transport: this.#connections.to(addr),
        signal,
        // Connect hands it to setTimeout, which takes no more.
        timeoutMs: Number.isFinite(boundMs) ? Math.min(boundMs, timeoutMsMax) : undefined,
      });
      this.picker.succeeded(addr);
      return result;
    } catch (reason) {
      const isConnecting = this.#connections.isConnecting(addr);
      const failed = faultOf(reason, options.effect);
      const fault = isConnecting ? withoutConnection(failed, addr) : withAddress(failed, addr);
      if (signal?.aborted === true) throw abortedFault(signal, fault, options.effect);
      this.blame(addr, fault, options.avoid);
      throw fault;
    }
  }

  /** Remembers what a fault says about the node it came from. */
  blame(addr: string, fault: Fault, avoid?: Set<string>): void {
    const { clock, backoff, chance } = this.#options;
    avoid?.add(addr);
    if (fault.kind === "not-leader") {
      this.picker.setLeader(fault.facts.leader, fault.facts.address);
      this.resolver.markStale();
      return;
    }
    if (!nodeFaults.includes(fault.kind)) return;
    const restMs = backoffMs(backoff, this.picker.failuresOf(addr) + 1, chance, retryDelayOf(fault));
    this.picker.failed(addr, clock.monotonicMs() + restMs);
    this.resolver.markStale();
  }

  /**
   * Not knowing the others is no reason to fail where a node answers but does not tell: it forwards. When none
   * answers, nothing was written.
   */
  async #discover(options: CallOptions, leftMs: number): Promise<void> {
    const { clock } = this.#options;
    try {
      await within(clock, this.resolver.ensureKnown(), leftMs, anySignal(this.closing, options.signal));
    } catch (reason) {
      this.#checkOpen(options.signal);
      const fault = faultOf(reason, "read");
      if (!nodeFaults.includes(fault.kind)) return;
      if (clock.monotonicMs() >= options.deadlineMs) throw new Fault("deadline", { cause: fault });
      throw new Fault("unavailable", { message: fault.message, facts: fault.facts, cause: fault });
    }
  }

  #checkOpen(signal: AbortSignal | undefined): void {
    if (this.closing.aborted) throw canceled(this.closing);
    if (signal?.aborted) throw canceled(signal);
  }

  [Symbol.dispose](): void {
    if (this.closing.aborted) return;
    this.#closing.abort(new Fault("canceled", { message: "the client is closed" }));
    this.#connections[Symbol.dispose]();
  }
}

/** May the same call be made again? */
function isSafe(fault: Fault, { effect, repeatable }: Pick<CallOptions, "effect" | "repeatable">): boolean {
  if (effect === "read") return readAgain.includes(fault.kind);
  if (final.includes(fault.kind)) return false;
  return fault.retry || (repeatable === true && fault.written === "unknown");
}

/** The same fault for a call of which an earlier attempt may have written. */
function asUnknown(fault: Fault): Fault {
  if (fault.written === "unknown") return fault;
  return new Fault(fault.kind, {
    message: fault.message,
    facts: fault.facts,
    written: "unknown",
    cause: fault,
  });
}

/** We stopped it ourselves: why, and what is then known of the write. */
function abortedFault(signal: AbortSignal, fault: Fault, effect: Effect): Fault {
  const why = canceled(signal);
  return effect === "write" && fault.written === "unknown" ? asUnknown(why) : why;
}
