/**
 * Limits the frames of one HTTP/2 connection that do not advance a request (RFC 9113 §10.5).
 *
 *   balance = burst + earned − charged, at most savedMax; time refills it up to burst
 *
 * Every frame is charged when it arrives, except HEADERS of a valid request and DATA with content. A response and each
 * DATA frame that is sent earn what their client may send in return: window updates, pings, a late reset. Time earns a
 * little, which pays for the keepalive pings of a quiet stream. One unit is one small frame.
 */
import { ConnectionError } from "../frames/connection-error.ts";
import { errorCode } from "../frames/frames.ts";

export interface FrameBudget {
  /** Units that a connection may spend before it earns any. */
  readonly burst: number;
  /** The largest balance, units. It pays for the window updates of all DATA that is on its way to the client. */
  readonly savedMax: number;
  /** Units earned per second. */
  readonly perSecond: number;
}

export const frameCharge = {
  /** A frame that causes work and requests nothing. */
  frame: 1,
  /** HEADERS that open a stream. Serving the stream earns it back. */
  open: 1,
  /** A stream that ends by RST_STREAM of the client or by its mistake. `open` is charged as well. */
  reset: 1,
} as const;

export const frameEarning = {
  /** Two window updates and a ping. */
  dataSent: 3,
  /** The charge for opening the stream, and a window update and a reset that may be on their way. */
  responseSent: 3,
  /** The charges for opening and resetting a stream that was being served. */
  servedReset: 2,
} as const;

/** How many of these cost one unit: SETTINGS entries, streams examined, bytes of a refused header block. */
export const perUnit = { settings: 8, streams: 32, refusedBytes: 512 } as const;

export class FrameMeter {
  readonly #budget: FrameBudget;
  readonly #time: { readonly nowMs: number };
  #balance: number;
  #refilledMs: number;

  /** `time` gives the monotonic time in milliseconds. */
  constructor(budget: FrameBudget, time: { readonly nowMs: number }) {
    this.#budget = budget;
    this.#time = time;
    this.#balance = budget.burst;
    this.#refilledMs = time.nowMs;
  }

  /**
   * Spends `units`.
   * @throws ConnectionError ENHANCE_YOUR_CALM if the balance is below zero then
   */
  charge(units: number): void {
    if (this.#balance < units) this.#refill();
    this.#balance -= units;
    if (this.#balance < 0) {
      throw new ConnectionError(errorCode.enhanceYourCalm, "too many frames that do not advance a request");
    }
  }

  #refill(): void {
    const { nowMs } = this.#time;
    const earned = ((nowMs - this.#refilledMs) / 1000) * this.#budget.perSecond;
    this.#balance = Math.min(this.#budget.burst, this.#balance + earned);
    this.#refilledMs = nowMs;
  }

  /** Spends `units` where the connection cannot be ended. The next charge() fails if the balance is below zero. */
  owe(units: number): void {
    this.#balance -= units;
  }

  earn(units: number): void {
    this.#balance = Math.min(this.#budget.savedMax, this.#balance + units);
  }
}
