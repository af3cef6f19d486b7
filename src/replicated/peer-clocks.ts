/**
 * How far the clocks of peers are from this node's, as their answers to pings show. Pure.
 *
 * A leader's clock goes into the log. A node more than 10 s off a majority of its peers is taken to be the one that
 * is wrong: it warns and does not campaign until it is right again.
 *
 * Never: corrects a clock.
 */

const offMsMax = 10_000;
/** An answer that took longer says too little. */
const roundTripMsMax = 2_000;
/** A sample older than this counts as none: either clock may have been set since. */
const freshMs = 30_000;

interface Sample {
  readonly offMs: number;
  readonly atMs: number;
}

export class PeerClocks {
  readonly #samples = new Map<string, Sample>();

  /**
   * A peer said `theirWallMs` between `sentMs` and `nowMs` of a clock that does not go back, when this node's wall
   * clock showed `wallMs` at the end.
   */
  heard(peer: string, theirWallMs: number, wallMs: number, sentMs: number, nowMs: number): void {
    const roundTrip = nowMs - sentMs;
    if (roundTrip > roundTripMsMax) return;
    this.#samples.set(peer, { offMs: theirWallMs + roundTrip / 2 - wallMs, atMs: nowMs });
  }

  forget(peer: string): void {
    this.#samples.delete(peer);
  }

  /** How far the peer's clock is ahead, where that is known. */
  offMs(peer: string, nowMs: number): number | undefined {
    const sample = this.#samples.get(peer);
    return sample === undefined || nowMs - sample.atMs > freshMs ? undefined : sample.offMs;
  }

  /**
   * False when more than half of these peers and this node together are more than 10 s off this node. Where two
   * nodes disagree, neither is the majority.
   */
  trusted(peers: readonly string[], nowMs: number): boolean {
    const off = peers.filter((peer) => Math.abs(this.offMs(peer, nowMs) ?? 0) > offMsMax);
    return off.length * 2 <= peers.length + 1;
  }
}
