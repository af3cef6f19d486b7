/**
 * The configuration, the progress of each peer in it, and the votes of an election.
 */
import { allPeers, type Configuration, emptyConfiguration } from "./configuration.ts";
import { Inflights, Progress } from "./progress.ts";
import { jointIndex, jointVote, type VoteResult } from "./quorum.ts";
import type { PeerId, RaftIndex } from "./types.ts";

export interface Tally {
  readonly granted: number;
  readonly rejected: number;
  readonly result: VoteResult;
}

export class Tracker {
  configuration: Configuration = emptyConfiguration;
  /** All peers of the configuration, ascending: the order in which messages are sent to them. */
  peers: readonly PeerId[] = [];
  readonly progress = new Map<PeerId, Progress>();
  readonly #votes = new Map<PeerId, boolean>();
  readonly #inflightCountMax: number;
  readonly #inflightBytesMax: number;
  readonly #match = (peer: PeerId): RaftIndex | undefined => this.progress.get(peer)?.match;

  constructor(inflightCountMax: number, inflightBytesMax: number) {
    this.#inflightCountMax = inflightCountMax;
    this.#inflightBytesMax = inflightBytesMax;
  }

  /**
   * Switches to a configuration. A new peer starts at the end of the log and counts as active, so that it does not make its
   * leader step down before it could answer.
   */
  switchTo(configuration: Configuration, lastIndex: RaftIndex): void {
    this.configuration = configuration;
    this.peers = allPeers(configuration);
    for (const peer of this.progress.keys()) if (!this.peers.includes(peer)) this.progress.delete(peer);
    for (const peer of this.peers) {
      const learner = configuration.learners.has(peer);
      const known = this.progress.get(peer);
      if (known !== undefined) known.learner = learner;
      else this.progress.set(peer, this.#fresh(Math.max(lastIndex, 1), learner, true));
    }
  }

  /** Switches to a snapshot's configuration and drops all progress. */
  restore(configuration: Configuration, lastIndex: RaftIndex): void {
    this.progress.clear();
    this.switchTo(configuration, lastIndex);
  }

  /** Starts a new term: drops all progress and votes. */
  reset(self: PeerId, lastIndex: RaftIndex): void {
    this.#votes.clear();
    for (const peer of this.peers) {
      const fresh = this.#fresh(lastIndex + 1, this.configuration.learners.has(peer), false);
      if (peer === self) fresh.match = lastIndex;
      this.progress.set(peer, fresh);
    }
  }

  get isSingleton(): boolean {
    return this.configuration.incoming.size === 1 && this.configuration.outgoing.size === 0;
  }

  isVoter(peer: PeerId): boolean {
    return this.configuration.incoming.has(peer) || this.configuration.outgoing.has(peer);
  }

  /** The highest index that a quorum of voters has durably. */
  committed(): RaftIndex {
    return jointIndex(this.configuration, this.#match);
  }

  /** Whether a quorum has answered since the last quorum check. */
  quorumActive(): boolean {
    return jointVote(this.configuration, (peer) => this.progress.get(peer)?.active === true) === "won";
  }

  resetVotes(): void {
    this.#votes.clear();
  }

  /** The first answer of a peer counts. */
  recordVote(peer: PeerId, granted: boolean): void {
    if (!this.#votes.has(peer)) this.#votes.set(peer, granted);
  }

  tally(): Tally {
    let [granted, rejected] = [0, 0];
    for (const [peer, progress] of this.progress) {
      const vote = this.#votes.get(peer);
      if (progress.learner || vote === undefined) continue;
      if (vote) granted++;
      else rejected++;
    }
    return { granted, rejected, result: jointVote(this.configuration, (peer) => this.#votes.get(peer)) };
  }

  #fresh(next: RaftIndex, learner: boolean, active: boolean): Progress {
    return new Progress(next, new Inflights(this.#inflightCountMax, this.#inflightBytesMax), learner, active);
  }
}
