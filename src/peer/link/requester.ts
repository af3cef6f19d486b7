/**
 * Sends requests over one connection and matches the responses.
 *
 *   queued ── begin ──► handed to the socket ── response ──► settled
 *     │ connection lost, time is up   │ connection lost, time is up
 *     ▼                               ▼
 *   not written                     outcome unknown
 *
 * A request is sent at most once. It is reported as not written only if it was never handed to the socket.
 */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { QueuedFrame } from "../connection/send-queue.ts";
import type { PeerFrame } from "../wire/peer-frame.ts";
import { encodeRequest, type PeerRequest } from "../wire/request-codec.ts";
import { decodeResponse } from "../wire/response-codec.ts";

interface PendingRequest {
  readonly deadlineMs: number;
  sent: boolean;
  /** Removes the listener from the caller's signal. */
  release: (() => void) | undefined;
  resolve(value: unknown): void;
  reject(fault: Fault): void;
}

export interface RequesterOptions {
  readonly clock: Clock;
  /** Queues a frame. Returns false if there is no connection or no room. */
  readonly send: (frame: QueuedFrame) => boolean;
  /** Is there a connection, or is one being opened? */
  readonly reachable: () => boolean;
  /** Maximum number of pending requests. */
  readonly requestsMax: number;
}

/** Milliseconds between two checks of the deadlines. */
const checkMs = 20;

export class Requester {
  readonly #options: RequesterOptions;
  readonly #pending = new Map<number, PendingRequest>();
  #lastId = 0;
  #checkScheduled = false;

  constructor(options: RequesterOptions) {
    this.#options = options;
  }

  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Sends a request and resolves to its result. `deadlineMs` is on the monotonic clock. Rejects with the peer's fault, or
   * with one whose `written` is "no" if the request was still queued and "unknown" if it was sent. An abort ends the wait
   * in the same way and withdraws a queued request.
   */
  ask(request: PeerRequest, deadlineMs: number, signal?: AbortSignal): Promise<unknown> {
    const { clock, send, reachable, requestsMax } = this.#options;
    return new Promise((resolve, reject) => {
      const remainingMs = deadlineMs - clock.monotonicMs();
      if (remainingMs <= 0) throw new Fault("deadline", { message: "no time is left to ask the peer" });
      if (!reachable()) throw unreachable();
      if (this.#pending.size >= requestsMax) throw full();
      const id = ++this.#lastId;
      const frame = encodeRequest(id, request, remainingMs);
      if (signal?.aborted === true) throw aborted(false);
      const pending: PendingRequest = { deadlineMs, sent: false, release: undefined, resolve, reject };
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
        const onAbort = (): void => {
          if (this.#take(id) !== undefined) reject(aborted(pending.sent));
        };
        signal.addEventListener("abort", onAbort);
        pending.release = () => signal.removeEventListener("abort", onAbort);
      }
      this.#scheduleCheck();
    });
  }

  /** @throws Fault "bad-request" if the frame is not a valid response */
  receiveResponse(frame: PeerFrame): void {
    const { id, value, fault } = decodeResponse(frame);
    // Undefined if the deadline has passed or the caller has aborted.
    const pending = this.#take(id);
    if (fault === undefined) pending?.resolve(value);
    else pending?.reject(fault);
  }

  /** Rejects all pending requests, because the connection has ended or could not be opened. */
  connectionLost(cause: Fault): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const { sent, reject, release } of all) {
      release?.();
      reject(
        sent
          ? new Fault("interrupted", {
              message: "the connection to the peer ended before it responded",
              written: "unknown",
              cause,
            })
          : unreachable(cause),
      );
    }
  }

  #take(id: number): PendingRequest | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    pending.release?.();
    return pending;
  }

  #scheduleCheck(): void {
    if (this.#checkScheduled) return;
    this.#checkScheduled = true;
    const { clock } = this.#options;
    // If the process was suspended, responses that have arrived meanwhile are read before deadlines are checked.
    clock.after(checkMs, () => clock.soon(() => this.#checkDeadlines()));
  }

  #checkDeadlines(): void {
    this.#checkScheduled = false;
    const now = this.#options.clock.monotonicMs();
    for (const [id, { deadlineMs, sent, reject }] of this.#pending) {
      if (deadlineMs > now) continue;
      this.#take(id);
      reject(
        new Fault("deadline", {
          message: "the peer did not respond in time",
          written: sent ? "unknown" : "no",
        }),
      );
    }
    if (this.#pending.size > 0) this.#scheduleCheck();
  }
}

/** An abort means that another node has become the leader: only appends and trims are aborted. */
const aborted = (sent: boolean): Fault =>
  sent
    ? new Fault("interrupted", {
        message: "the leader changed before the old one responded",
        written: "unknown",
      })
    : new Fault("unavailable", { message: "the leader changed before the request was sent" });

const unreachable = (cause?: Fault): Fault =>
  new Fault("unavailable", { message: "the peer is unreachable", cause });

const full = (): Fault => new Fault("overloaded", { message: "too many requests wait for the peer" });
