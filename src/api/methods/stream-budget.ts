/**
 * Limits the bytes of appends in flight on all streams together. One stream may have 8 MiB in flight. Once all streams
 * have 64 MiB, each may have 64 KiB, as much as an HTTP/2 window holds. A stream above its limit is not read until some
 * of its appends have settled.
 */
export interface StreamBudgetLimits {
  readonly totalBytesMax: number;
  readonly streamBytesMax: number;
  /** What each stream may have in flight, whatever the others have. */
  readonly streamBytesMin: number;
}

export const defaultStreamBudget: StreamBudgetLimits = {
  totalBytesMax: 64 * 1024 * 1024,
  streamBytesMax: 8 * 1024 * 1024,
  streamBytesMin: 64 * 1024,
};

/** Fixed cost of an append in flight, in bytes. */
const appendBytes = 256;

export class StreamBudget {
  readonly limits: StreamBudgetLimits;
  /** In flight on all streams. */
  bytes = 0;

  constructor(limits = defaultStreamBudget) {
    this.limits = limits;
  }

  open(): StreamShare {
    return new StreamShare(this);
  }
}

/** The share of one stream. */
export class StreamShare implements Disposable {
  readonly #budget: StreamBudget;
  #bytes = 0;
  #isOver = false;

  constructor(budget: StreamBudget) {
    this.#budget = budget;
  }

  /** An append of `bytes` bytes starts. */
  begin(bytes: number): void {
    this.#add(bytes + appendBytes);
  }

  /** An append of `bytes` bytes has settled. */
  end(bytes: number): void {
    this.#add(-bytes - appendBytes);
  }

  get isFull(): boolean {
    const { bytes, limits } = this.#budget;
    if (this.#bytes >= limits.streamBytesMax) return true;
    return bytes >= limits.totalBytesMax && this.#bytes >= limits.streamBytesMin;
  }

  /** The stream has ended: no client waits for the appends in flight, so they no longer count. */
  [Symbol.dispose](): void {
    this.#add(-this.#bytes);
    this.#isOver = true;
  }

  #add(bytes: number): void {
    if (this.#isOver) return;
    this.#bytes += bytes;
    this.#budget.bytes += bytes;
  }
}
