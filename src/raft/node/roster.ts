/**
 * The members: their numbers, names, directories and addresses. A fold over the applied changes of configuration, kept with
 * the configuration.
 *
 * A number is never used twice: the next one is kept, too, even if the peer with the highest number is removed.
 */
import type { ConfChange, ConfState, Member, PeerId, Roster } from "../core/mod.ts";

export class RosterBook {
  #members = new Map<PeerId, Member>();
  #nextPeer: PeerId = 1;

  constructor(state: ConfState) {
    this.restore(state);
  }

  get nextPeer(): PeerId {
    return this.#nextPeer;
  }

  member(peer: PeerId): Member | undefined {
    return this.#members.get(peer);
  }

  /** The peer with this name now. */
  named(name: string): Member | undefined {
    for (const member of this.#members.values()) if (member.name === name) return member;
    return undefined;
  }

  restore(state: ConfState): void {
    const { roster } = state;
    this.#members = new Map(roster?.members.map((member) => [member.peer, member]));
    this.#nextPeer = Math.max(roster?.nextPeer ?? 1, ...peersOf(state).map((peer) => peer + 1));
  }

  /** Takes an applied change; `state` is the core's configuration after it. Returns that with the roster. */
  apply(change: ConfChange, state: ConfState): ConfState {
    if (this.#members.size === 0 && change.base !== undefined) this.restore(change.base);
    for (const member of change.members ?? []) this.#members.set(member.peer, member);
    const present = new Set(peersOf(state));
    for (const peer of present) this.#nextPeer = Math.max(this.#nextPeer, peer + 1);
    for (const peer of this.#members.keys()) if (!present.has(peer)) this.#members.delete(peer);
    return { ...state, roster: this.roster };
  }

  get roster(): Roster {
    const members = [...this.#members.values()].sort((a, b) => a.peer - b.peer);
    return { members, nextPeer: this.#nextPeer };
  }
}

function peersOf(state: ConfState): PeerId[] {
  return [...state.voters, ...state.votersOutgoing, ...state.learners, ...state.learnersNext];
}
