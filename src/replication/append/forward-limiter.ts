/**
 * Limits the appends of this node that are in flight to leaders. The limits are below what a channel queues and what a
 * leader accepts from one connection, so appends wait here and are not refused there. Appends to one log that wait at the
 * leader do not take the room of the other logs: see FairShares. Pure.
 *
 * A stream that must wait registers a callback. The callbacks are called one at a time when there is capacity for one more
 * request: those of one log and subject in the order of registration, and logs and subjects in turn.
 */
import { FairShares, type ShareOwner } from "../../log/mod.ts";
import type { AppendOptions } from "../../types.ts";

export interface ForwardLimits {
  readonly requestsMax: number;
  readonly bytesMax: number;
}

/** Half of what PeerLimits allow for one channel. */
const defaultForwardLimits: ForwardLimits = { requestsMax: 8_192, bytesMax: 16 * 1024 * 1024 };
/** Flows that are looked at when capacity becomes available. The others come first the next time. */
const lookedAtMax = 64;

/** The waiters of one subject for one log. */
interface Flow {
  readonly owner: ShareOwner;
  readonly waiters: Set<() => void>;
}

export class ForwardLimiter {
  readonly #shares: FairShares;
  /** The flows with waiters, the next one first. */
  readonly #flows = new Map<string, Flow>();
  readonly #flowOf = new Map<() => void, Flow>();
  #isCallDue = false;

  constructor({ requestsMax, bytesMax }: ForwardLimits = defaultForwardLimits) {
    this.#shares = new FairShares({ countMax: requestsMax, bytesMax, bySubject: false });
  }

  /** True when a request may be sent now. A request may exceed the byte limit if the total was below it before. */
  hasCapacity(options: AppendOptions): boolean {
    return this.#hasRoom(ownerOf(options));
  }

  /** Returns true if there is capacity and no other waiter for the same log comes before this one. */
  mayAcquire(waiter: () => void, options: AppendOptions): boolean {
    const owner = ownerOf(options);
    if (!this.#hasRoom(owner)) return false;
    const [first] = this.#flows.get(keyOf(owner))?.waiters ?? [];
    return first === undefined || first === waiter;
  }

  /** Returns the function that releases the capacity. */
  acquire(bytes: number, options: AppendOptions): () => void {
    const share = this.#shares.take(ownerOf(options), bytes);
    return () => {
      this.#shares.release(share, bytes, 1);
      this.#callNext();
    };
  }

  /** Registers a waiter, which is called when there is capacity. A waiter that waits for the same log keeps its position. */
  wait(waiter: () => void, options: AppendOptions): void {
    const owner = ownerOf(options);
    const key = keyOf(owner);
    const flow = this.#flows.get(key) ?? { owner, waiters: new Set() };
    if (this.#flowOf.get(waiter) === flow) return;
    this.#remove(waiter);
    this.#flows.set(key, flow);
    this.#flowOf.set(waiter, flow);
    flow.waiters.add(waiter);
  }

  /** Removes a waiter and calls the next one if there is capacity. */
  stopWaiting(waiter: () => void): void {
    if (this.#remove(waiter)) this.#callNext();
  }

  #remove(waiter: () => void): boolean {
    const flow = this.#flowOf.get(waiter);
    if (flow === undefined) return false;
    this.#flowOf.delete(waiter);
    flow.waiters.delete(waiter);
    if (flow.waiters.size === 0) this.#flows.delete(keyOf(flow.owner));
    return true;
  }

  #hasRoom(owner: ShareOwner): boolean {
    return this.#shares.hasRoom(owner, 1);
  }

  /** Calls a waiter in a microtask: a direct call would nest as deep as there are waiters. */
  #callNext(): void {
    if (this.#isCallDue || this.#flows.size === 0) return;
    this.#isCallDue = true;
    queueMicrotask(() => {
      this.#isCallDue = false;
      this.#nextWaiter()?.();
    });
  }

  /** The first waiter of the next flow with capacity. The flows up to this one come last the next time. */
  #nextWaiter(): (() => void) | undefined {
    let left = Math.min(lookedAtMax, this.#flows.size);
    for (const [key, flow] of this.#flows) {
      if (left-- === 0) return undefined;
      this.#flows.delete(key);
      this.#flows.set(key, flow);
      const [waiter] = flow.waiters;
      if (this.#hasRoom(flow.owner)) return waiter;
    }
    return undefined;
  }
}

const ownerOf = ({ log, subject }: AppendOptions): ShareOwner => ({ log: log?.name, subject: subject ?? "" });
/** Names of logs and subjects hold no line break. */
const keyOf = ({ log, subject }: ShareOwner): string => `${subject}\n${log ?? ""}`;
