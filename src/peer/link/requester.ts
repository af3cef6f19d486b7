/**
 * Requests on their way over one lane, and who waits for them.
 *
 *   waiting in the queue ── begin ──► handed to the socket ── answer ──► settled
 *        │ lane lost, time up               │ lane lost, time up
 *        ▼                                  ▼
 *   certainly not written              outcome unknown
 *
 * Never: sends again; says "not written" of what was handed over.
 */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { Outgoing } from "../connection/send-queue.ts";
import type { PeerFrame } from "../wire/peer-frame.ts";
import { decodeAnswer, encodeRequest, type PeerRequest } from "../wire/request-codec.ts";

interface Pending {
  readonly deadlineMs: number;
  sent: boolean;
  /** Stops listening to the caller's signal. */
  release: (() => void) | undefined;
  resolve(value: unknown): void;
  reject(fault: Fault): void;
}

export interface RequesterOptions {
  readonly clock: Clock;
  /** Hands it to the lane; false when there is no room or no connection. */
  readonly send: (item: Outgoing) => boolean;
  /** Is there a connection, or one in the making? */
  readonly reachable: () => boolean;
  readonly requestsMax: number;
}

/** How often deadlines are looked at. */
const lookMs = 20;

export class Requester {
  readonly #options: RequesterOptions;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #looking = false;

  constructor(options: RequesterOptions) {
    this.#options = options;
  }

  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Resolves with the answer. Rejects with the peer's fault, or one that says how far the request had come. An abort ends
   * the wait: a request that still stood in the queue is not sent any more, of another one the outcome is unknown.
   */
  ask(question: PeerRequest, deadlineMs: number, signal?: AbortSignal): Promise<unknown> {
    const { clock, send, reachable, requestsMax } = this.#options;
    return new Promise((resolve, reject) => {
      const remainingMs = deadlineMs - clock.monotonicMs();
      if (remainingMs <= 0) throw new Fault("deadline", { message: "no time is left to ask the peer" });
      if (!reachable()) throw new Fault("unavailable", { message: "the peer cannot be reached" });
      if (this.#pending.size >= requestsMax) throw full();
      const id = ++this.#lastId;
      const frame = encodeRequest(id, question, remainingMs);
      if (signal?.aborted === true) throw withdrawn(false);
      const pending: Pending = { deadlineMs, sent: false, release: undefined, resolve, reject };
      this.#pending.set(id, pending);
      const queued = send({
        ...frame,
        begin: () => {
          pending.sent = true;
          return this.#pending.has(id);
        },
      });
      if (!queued) {
        this.#pending.delete(id);
        throw full();
      }
      if (signal !== undefined) {
        const withdraw = (): void => {
          if (this.#take(id) !== undefined) reject(withdrawn(pending.sent));
        };
        signal.addEventListener("abort", withdraw);
        pending.release = () => signal.removeEventListener("abort", withdraw);
      }
      this.#arm();
    });
  }

  /** Throws Fault "bad-request" for what is no answer. */
  answered(frame: PeerFrame): void {
    const { id, value, fault } = decodeAnswer(frame);
    const pending = this.#take(id);
    // Its time was up before, or its caller does not wait any more.
    if (pending === undefined) return;
    if (fault === undefined) pending.resolve(value);
    else pending.reject(fault);
  }

  /** The lane has ended, or was never there. */
  lost(cause: Fault): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const { sent, reject, release } of all) {
      release?.();
      reject(
        sent
          ? new Fault("interrupted", {
              message: "the connection to the peer ended before it answered",
              written: "unknown",
              cause,
            })
          : new Fault("unavailable", { message: "the peer cannot be reached", cause }),
      );
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    pending.release?.();
    return pending;
  }

  #arm(): void {
    if (this.#looking) return;
    this.#looking = true;
    const { clock } = this.#options;
    // What the sockets hold is read before anybody's time is up: this process may have stood still.
    clock.after(lookMs, () => clock.soon(() => this.#look()));
  }

  #look(): void {
    this.#looking = false;
    const now = this.#options.clock.monotonicMs();
    for (const [id, { deadlineMs, sent, reject }] of this.#pending) {
      if (deadlineMs > now) continue;
      this.#take(id);
      reject(
        new Fault("deadline", {
          message: "the peer did not answer in time",
          written: sent ? "unknown" : "no",
        }),
      );
    }
    if (this.#pending.size > 0) this.#arm();
  }
}

const withdrawn = (sent: boolean): Fault =>
  sent
    ? new Fault("interrupted", {
        message: "the leader changed before the one that was asked had answered",
        written: "unknown",
      })
    : new Fault("unavailable", { message: "the leader changed before the request was sent" });

const full = (): Fault => new Fault("overloaded", { message: "too many requests wait for the peer" });
