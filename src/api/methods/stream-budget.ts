/**
 * How many bytes of appends all streams together have under way. One stream may have up to 8 MiB; once all of them have
 * 64 MiB, each may have 64 KiB, as much as a window of HTTP/2 holds anyway. A stream that is full is not read any more
 * until some of its appends are settled. Pure.
 */
export interface StreamBudgetLimits {
  readonly totalBytesMax: number;
  readonly streamBytesMax: number;
  /** What every stream may have, whatever the others have. */
  readonly streamBytesMin: number;
}

export const defaultStreamBudget: StreamBudgetLimits = {
  totalBytesMax: 64 * 1024 * 1024,
  streamBytesMax: 8 * 1024 * 1024,
  streamBytesMin: 64 * 1024,
};

/** What an append under way costs besides its bytes. */
const appendBytes = 256;

export class StreamBudget {
  readonly limits: StreamBudgetLimits;
  /** Of all streams. */
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

  /** An append of so many bytes begins. */
  begin(bytes: number): void {
    this.#add(bytes + appendBytes);
  }

  /** It is settled. */
  end(bytes: number): void {
    this.#add(-bytes - appendBytes);
  }

  get isFull(): boolean {
    const { bytes, limits } = this.#budget;
    if (this.#bytes >= limits.streamBytesMax) return true;
    return bytes >= limits.totalBytesMax && this.#bytes >= limits.streamBytesMin;
  }

  /** The stream is over: no client waits for what is under way. */
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
