/**
 * What the clocks of peers show, as far as their answers to pings tell. Pure.
 *
 * A reading is kept against this node's monotonic clock, so that it stays right when this node's wall clock is set. A
 * reading older than 30 s does not count. A peer can send any number: it is a reading like any other, and one that
 * jumps counts as a clock that was set.
 */
import { ClockLeaps, leapHoldMs } from "../../lib/time/clock-leap.ts";

/** An answer that took longer says too little. */
const roundTripMsMax = 2_000;
const freshMs = 30_000;
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
   * A peer's wall clock showed `theirWallMs` between `sentMs` and `nowMs` of this node's monotonic clock. `saysSteady` is
   * false if the peer itself noticed that its clock was set: this node may not have been there to see it. `saysFresh` is
   * true if the peer started within the hour with an empty log.
   */
  heard(
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

  forget(peer: string): void {
    this.#readings.delete(peer);
  }

  /** What the peer's clock shows now, where that is known. */
  wallMs(peer: string, nowMs: number): number | undefined {
    const reading = this.#readings.get(peer);
    if (reading === undefined || nowMs - reading.atMs > freshMs) return undefined;
    return reading.wallMs + (nowMs - reading.atMs);
  }

  /** Was it heard of after `sinceMs`? */
  heardSince(peer: string, sinceMs: number): boolean {
    const reading = this.#readings.get(peer);
    return reading !== undefined && reading.atMs > sinceMs;
  }

  /** Returns true if it started within the hour with an empty log. */
  fresh(peer: string): boolean {
    return this.#readings.get(peer)?.saysFresh === true;
  }

  /** Was it not set within the last hour, as far as is known? */
  steady(peer: string, nowMs: number): boolean {
    const reading = this.#readings.get(peer);
    if (reading === undefined) return true;
    return reading.saysSteady && reading.leaps.recent(nowMs, leapHoldMs) === undefined;
  }
}
