/**
 * The budget of one HTTP/2 connection for frames that bring no request forward (RFC 9113 §10.5).
 *
 *   balance = burst + earned − charged, at most savedMax, never refilled by time above burst
 *
 * Every frame but HEADERS of a valid request and DATA with content is charged when it arrives. An answered request and
 * a DATA frame that was sent earn back what their client may say about them: window updates, pings, a late reset.
 * Time earns a little, so that a quiet stream outlives its keepalive pings. The unit is one small frame.
 */

export interface FrameBudget {
  /** Units that a connection may spend before it has earned any. */
  readonly burst: number;
  /** Units that can be saved up: window updates for all that is on its way to the client. */
  readonly savedMax: number;
  /** Units earned by time. */
  readonly perSecond: number;
}

export const frameCharge = {
  /** Any frame that costs us and asks for nothing. */
  frame: 1,
  /** HEADERS that open a stream; earned back when the stream is served. */
  open: 1,
  /** What the peer's own mistake or RST_STREAM ends, besides what the stream cost to open. */
  reset: 1,
} as const;

export const frameEarning = {
  /** Two window updates and a ping. */
  dataSent: 3,
  /** What the stream cost to open, and a window update and a reset that are on their way. */
  answered: 3,
  /** What a stream that was being served cost to open and to reset. */
  servedReset: 2,
} as const;

/** SETTINGS entries, streams looked at, bytes of a refused header block: that many are one unit. */
export const perUnit = { settings: 8, streams: 32, refusedBytes: 512 } as const;

export class FrameMeter {
  readonly #budget: FrameBudget;
  #balance: number;
  #refilledMs: number;

  constructor(budget: FrameBudget, nowMs: number) {
    this.#budget = budget;
    this.#balance = budget.burst;
    this.#refilledMs = nowMs;
  }

  /** Spends `units`; false when the connection has no more to spend and must be ended. */
  charge(units: number, nowMs: number): boolean {
    if (this.#balance < units) this.#refill(nowMs);
    this.#balance -= units;
    return this.#balance >= 0;
  }

  #refill(nowMs: number): void {
    const earned = ((nowMs - this.#refilledMs) / 1000) * this.#budget.perSecond;
    this.#balance = Math.min(this.#budget.burst, this.#balance + earned);
    this.#refilledMs = nowMs;
  }

  /** Spends `units` where the connection cannot be ended; the next charge() notices. */
  owe(units: number): void {
    this.#balance -= units;
  }

  earn(units: number): void {
    this.#balance = Math.min(this.#budget.savedMax, this.#balance + units);
  }
}
