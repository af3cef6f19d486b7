/** The configuration as applied on this node, and the roster of its peers. */
import type { ConfChange, ConfState, Member, PeerId } from "../core/mod.ts";
import { RosterBook } from "./roster.ts";

export class RaftMembership {
  readonly #roster: RosterBook;
  #configuration: ConfState;

  constructor(initial: ConfState) {
    this.#roster = new RosterBook(initial);
    this.#configuration = { ...initial, roster: this.#roster.roster };
  }

  get configuration(): ConfState {
    return this.#configuration;
  }

  /** The number for the next new member. */
  get nextPeer(): PeerId {
    return this.#roster.nextPeer;
  }

  member(peer: PeerId): Member | undefined {
    return this.#roster.member(peer);
  }

  named(name: string): Member | undefined {
    return this.#roster.named(name);
  }

  isVoter(peer: PeerId): boolean {
    const { voters, votersOutgoing } = this.#configuration;
    return voters.includes(peer) || votersOutgoing.includes(peer);
  }

  /** Whether there is one member only. */
  get isAlone(): boolean {
    const { voters, votersOutgoing, learners } = this.#configuration;
    return voters.length === 1 && votersOutgoing.length === 0 && learners.length === 0;
  }

  /** Takes an applied change; `state` is the core's configuration after it. */
  apply(change: ConfChange, state: ConfState): void {
    this.#configuration = this.#roster.apply(change, state);
  }

  /** Takes the configuration of an installed snapshot. */
  restore(state: ConfState): void {
    this.#roster.restore(state);
    this.#configuration = { ...state, roster: this.#roster.roster };
  }
}
