/**
 * How long one HTTP/2 connection may take over what it has begun, as HTTP/1.1 limits it. All times are monotonic.
 *
 *   preface, frame, header block   headersMs from its first byte to its last
 *   body of a request              requestMs from its headers to END_STREAM, unless the call may last
 *   end of an answer               requestMs until the client has granted the window for it
 *   no stream                      idleMs since the last one ended
 *
 * Streams of one kind share a limit, so the first that began is the first that is late.
 */

export interface TimeLimits {
  /** From the first byte of the preface, a frame or a header block to its end. */
  readonly headersMs: number;
  /** From the headers of a request to its end. */
  readonly requestMs: number;
  /** Without a request. */
  readonly idleMs: number;
}

/** What is late: the whole connection, or these streams. */
export type Late = "slow" | "idle" | readonly number[];

export class Deadlines {
  readonly #limits: TimeLimits;
  /** The piece that has begun, by its number on the connection, and since when. */
  #piece: { readonly number: number; readonly sinceMs: number } | undefined;
  #idleSinceMs: number | undefined;
  /** By stream, since when, the earliest first. */
  readonly #requests = new Map<number, number>();
  readonly #answers = new Map<number, number>();

  constructor(limits: TimeLimits, nowMs: number) {
    this.#limits = limits;
    this.#piece = { number: 0, sinceMs: nowMs };
    this.#idleSinceMs = nowMs;
  }

  /** The piece of this number has begun and is not complete; undefined: none has. */
  incomplete(number: number | undefined, nowMs: number): void {
    if (number === undefined) this.#piece = undefined;
    else if (this.#piece?.number !== number) this.#piece = { number, sinceMs: nowMs };
  }

  opened(): void {
    this.#idleSinceMs = undefined;
  }

  /** A stream is over; `left` others are not. */
  closed(stream: number, left: number, nowMs: () => number): void {
    this.#requests.delete(stream);
    this.#answers.delete(stream);
    if (left === 0) this.#idleSinceMs = nowMs();
  }

  /** The body of a request is to come. */
  awaitRequest(stream: number, nowMs: number): void {
    this.#requests.set(stream, nowMs);
  }

  /** It has come, or may take as long as it likes. */
  requestDone(stream: number): void {
    this.#requests.delete(stream);
  }

  /** The answer is complete and waits for window. */
  awaitWindow(stream: number, nowMs: number): void {
    if (!this.#answers.has(stream)) this.#answers.set(stream, nowMs);
  }

  /** When the next of all these is late; Infinity when nothing is waited for. */
  get dueMs(): number {
    const { headersMs, requestMs, idleMs } = this.#limits;
    return Math.min(
      this.#piece === undefined ? Infinity : this.#piece.sinceMs + headersMs,
      this.#idleSinceMs === undefined ? Infinity : this.#idleSinceMs + idleMs,
      earliest(this.#requests) + requestMs,
      earliest(this.#answers) + requestMs,
    );
  }

  /** What is late by now. Late streams are not named again. */
  late(nowMs: number): Late {
    const { headersMs, requestMs, idleMs } = this.#limits;
    if (this.#piece !== undefined && nowMs >= this.#piece.sinceMs + headersMs) return "slow";
    if (this.#idleSinceMs !== undefined && nowMs >= this.#idleSinceMs + idleMs) return "idle";
    const streams: number[] = [];
    for (const waiting of [this.#requests, this.#answers]) {
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
