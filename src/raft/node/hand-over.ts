/**
 * Decides when a leader hands over leadership, and to which voter: when it is removed, when it cannot read entries that a
 * follower needs, when its disk takes nothing, and when the transport names better leaders.
 */
import { type Core, noPeer, type PeerId } from "../core/mod.ts";
import type { RaftTransport } from "./ports.ts";
import type { RaftMembership } from "./raft-membership.ts";

export interface HandOverOptions {
  readonly core: Core;
  readonly membership: RaftMembership;
  readonly transport: Pick<RaftTransport, "successors">;
  readonly electionTicks: number;
  readonly transfer: (to: PeerId) => void;
}

/** Limits of the pause between two transfers to a successor, in election timeouts. */
const pauseMin = 4;
const pauseMax = 64;

export class HandOver {
  readonly #options: HandOverOptions;
  /** A follower needed entries that are damaged here, since the last tick. */
  #isUnreadable = false;
  /** The tick of the next transfer to a successor, and the last pause, in ticks. */
  #successionAt = 0;
  #successionPause = 0;

  constructor(options: HandOverOptions) {
    this.#options = options;
  }

  /** Notes that a follower needs entries that are damaged here. */
  noteUnreadable(): void {
    this.#isUnreadable = true;
  }

  tick(now: number): void {
    this.#whenRemoved();
    this.#whenUnreadable();
    this.#toSuccessors(now);
  }

  /** Hands leadership to the active voter with the longest log, or to that of `among`. Does nothing without one. */
  toBest(among?: readonly PeerId[]): void {
    const { core, transfer } = this.#options;
    const { progress, configuration } = core.status();
    let best: PeerId = noPeer;
    let most = 0;
    for (const [peer, { active, match }] of progress ?? []) {
      if (peer === core.id || !active || match <= most || !configuration.voters.includes(peer)) continue;
      if (among?.includes(peer) === false) continue;
      [best, most] = [peer, match];
    }
    if (best !== noPeer) transfer(best);
  }

  /** A leader that is not handing over already. */
  get #mayBegin(): boolean {
    const { core } = this.#options;
    return core.role === "leader" && core.transferee === noPeer;
  }

  /**
   * A removed leader takes no proposals, but leads until another voter has its whole log. If it stepped down at once, the
   * others could be left in the old configuration, waiting for its vote.
   */
  #whenRemoved(): void {
    const { core, membership } = this.#options;
    if (this.#mayBegin && !membership.isVoter(core.id)) this.toBest();
  }

  /** A voter whose copy is whole should lead. Without such a voter this node goes on. */
  #whenUnreadable(): void {
    if (!this.#isUnreadable) return;
    this.#isUnreadable = false;
    if (this.#mayBegin) this.toBest();
  }

  /** A transfer stops all appends until it ends, so a failed one is repeated only after a pause that doubles. */
  #toSuccessors(now: number): void {
    if (!this.#mayBegin) return;
    const { transport, electionTicks } = this.#options;
    const successors = transport.successors?.() ?? [];
    if (successors.length === 0) {
      this.#successionPause = 0;
      this.#successionAt = 0;
      return;
    }
    if (now < this.#successionAt) return;
    this.#successionPause = Math.min(
      Math.max(pauseMin * electionTicks, 2 * this.#successionPause),
      pauseMax * electionTicks,
    );
    this.#successionAt = now + this.#successionPause;
    this.toBest(successors);
  }
}
