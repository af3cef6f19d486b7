/**
 * The time limits of one HTTP/2 connection, the same as those of HTTP/1.1. All times are monotonic milliseconds.
 *
 *   preface, frame, header block   headersMs from its first byte to its last
 *   request body                   requestMs from its headers to END_STREAM, unless the method streams requests
 *   end of a response              requestMs for the client to grant the window for it
 *   no stream                      idleMs since the last stream ended
 *
 * Streams of one kind have the same limit, so the stream that began first is late first.
 */

export interface TimeLimits {
  /** From the first byte of the preface, a frame or a header block to its end. Default 10,000. */
  readonly headersMs: number;
  /** From the headers of a request to its end. Default 300,000. */
  readonly requestMs: number;
  /** Without a stream. Default 65,000. */
  readonly idleMs: number;
}

/** What is late: the connection, because it sends too slowly or is idle, or these streams. */
export type Late = "slow" | "idle" | readonly number[];

export class Deadlines {
  readonly #limits: TimeLimits;
  /** The incomplete item (preface, frame or header block): its number on the connection, and when it began. */
  #item: { readonly number: number; readonly sinceMs: number } | undefined;
  #idleSinceMs: number | undefined;
  /** Stream id → when it began to wait for its request body. The earliest is first. */
  readonly #requests = new Map<number, number>();
  /** Stream id → when its complete response began to wait for window. The earliest is first. */
  readonly #responses = new Map<number, number>();

  constructor(limits: TimeLimits, nowMs: number) {
    this.#limits = limits;
    this.#item = { number: 0, sinceMs: nowMs };
    this.#idleSinceMs = nowMs;
  }

  /** Notes that the item with this number is incomplete. Undefined: every item so far is complete. */
  incomplete(number: number | undefined, nowMs: number): void {
    if (number === undefined) this.#item = undefined;
    else if (this.#item?.number !== number) this.#item = { number, sinceMs: nowMs };
  }

  /** A stream has opened. */
  opened(): void {
    this.#idleSinceMs = undefined;
  }

  /** A stream has closed and `open` others are open. The clock is read only if there is none. */
  closed(stream: number, open: number, nowMs: () => number): void {
    this.#requests.delete(stream);
    this.#responses.delete(stream);
    if (open === 0) this.#idleSinceMs = nowMs();
  }

  /** The stream begins to wait for its request body. */
  awaitRequest(stream: number, nowMs: number): void {
    this.#requests.set(stream, nowMs);
  }

  /** The request is complete, or has no time limit. */
  requestDone(stream: number): void {
    this.#requests.delete(stream);
  }

  /** The response is complete and waits for window. */
  awaitWindow(stream: number, nowMs: number): void {
    if (!this.#responses.has(stream)) this.#responses.set(stream, nowMs);
  }

  /** When something is late next; Infinity if nothing can be. */
  get dueMs(): number {
    const { headersMs, requestMs, idleMs } = this.#limits;
    return Math.min(
      this.#item === undefined ? Infinity : this.#item.sinceMs + headersMs,
      this.#idleSinceMs === undefined ? Infinity : this.#idleSinceMs + idleMs,
      earliest(this.#requests) + requestMs,
      earliest(this.#responses) + requestMs,
    );
  }

  /** Returns what is late now. A late stream is returned once. */
  late(nowMs: number): Late {
    const { headersMs, requestMs, idleMs } = this.#limits;
    if (this.#item !== undefined && nowMs >= this.#item.sinceMs + headersMs) return "slow";
    if (this.#idleSinceMs !== undefined && nowMs >= this.#idleSinceMs + idleMs) return "idle";
    const streams: number[] = [];
    for (const waiting of [this.#requests, this.#responses]) {
      for (const [stream, sinceMs] of waiting) {
        if (nowMs < sinceMs + requestMs) break;
        streams.push(stream);
        waiting.delete(stream);
      }
    }
    return streams;
  }
}

function earliest(waiting: ReadonlyMap<number, number>): number {
  if (waiting.size === 0) return Infinity;
  for (const sinceMs of waiting.values()) return sinceMs;
  return Infinity;
}
