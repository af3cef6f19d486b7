/**
 * The clocks of peers, as read from their responses to pings. Pure.
 *
 * A reading is kept relative to this node's monotonic clock, so that it stays valid when this node's wall clock is set.
 * A reading older than 30 s does not count. A peer can send any number. A reading that jumps counts as a clock that was
 * set.
 */
import { ClockLeaps, leapHoldMs } from "../../lib/time/clock-leap.ts";

/** A response that took longer is too inaccurate. */
const roundTripMsMax = 2_000;
const readingMsMax = 30_000;
/** The last moment that a Date can hold. */
const wallMsMax = 8.64e15;

interface Reading {
  readonly wallMs: number;
  readonly atMs: number;
  readonly saysSteady: boolean;
  readonly saysFresh: boolean;
  readonly leaps: ClockLeaps;
}

export class PeerClocks {
  readonly #readings = new Map<string, Reading>();

  /**
   * Records that a peer's wall clock showed `theirWallMs` between `sentMs` and `nowMs` of this node's monotonic clock.
   * `saysSteady` is false if the peer reports that its clock was set, which this node may not have observed. `saysFresh`
   * is true if the peer started within the hour with an empty log.
   */
  record(
    peer: string,
    theirWallMs: number,
    sentMs: number,
    nowMs: number,
    { saysSteady = true, saysFresh = false }: Partial<Pick<Reading, "saysSteady" | "saysFresh">> = {},
  ): void {
    const roundTripMs = nowMs - sentMs;
    if (roundTripMs > roundTripMsMax) return;
    const wallMs = Math.min(Math.max(theirWallMs, 0), wallMsMax) + roundTripMs / 2;
    const leaps = this.#readings.get(peer)?.leaps ?? new ClockLeaps();
    leaps.look({ wallMs, monotonicMs: nowMs });
    this.#readings.set(peer, { wallMs, atMs: nowMs, saysSteady, saysFresh, leaps });
  }

  remove(peer: string): void {
    this.#readings.delete(peer);
  }

  /** The current time of the peer's clock, if known. */
  wallMs(peer: string, nowMs: number): number | undefined {
    const reading = this.#readings.get(peer);
    if (reading === undefined || nowMs - reading.atMs > readingMsMax) return undefined;
    return reading.wallMs + (nowMs - reading.atMs);
  }

  /** Returns true if there is a reading after `sinceMs`. */
  hasReadingSince(peer: string, sinceMs: number): boolean {
    const reading = this.#readings.get(peer);
    return reading !== undefined && reading.atMs > sinceMs;
  }

  /** Returns true if the peer started within the hour with an empty log. */
  fresh(peer: string): boolean {
    return this.#readings.get(peer)?.saysFresh === true;
  }

  /** Returns true if the peer's clock was not set within the last hour, as far as is known. */
  steady(peer: string, nowMs: number): boolean {
    const reading = this.#readings.get(peer);
    if (reading === undefined) return true;
    return reading.saysSteady && reading.leaps.recent(nowMs, leapHoldMs) === undefined;
  }
}
