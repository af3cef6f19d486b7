/**
 * What a majority, or two majorities at once, has agreed on. Pure arithmetic.
 *
 * An empty majority agrees to everything: so a configuration that is not joint is a joint one whose other half
 * is empty.
 *
 * Never: knows a message or a progress.
 */
import type { PeerId, RaftIndex } from "./types.ts";

export type VoteResult = "won" | "lost" | "pending";
export type Majority = ReadonlySet<PeerId>;

/** The voters: of the configuration, and of the one being left while the two are joint. */
export interface Voters {
  readonly incoming: Majority;
  readonly outgoing: Majority;
}

/** The highest index that a majority has reached; Infinity of nobody. Who says nothing has reached 0. */
export function majorityIndex(voters: Majority, reached: (peer: PeerId) => RaftIndex | undefined): RaftIndex {
  const count = voters.size;
  if (count === 0) return Number.POSITIVE_INFINITY;
  const indexes: RaftIndex[] = [];
  for (const peer of voters) {
    // Insertion from the back: majorities are small, and mostly already in order.
    const index = reached(peer) ?? 0;
    let at = indexes.length;
    while (at > 0 && (indexes[at - 1] as number) > index) at--;
    indexes.splice(at, 0, index);
  }
  return indexes[count - (Math.floor(count / 2) + 1)] as RaftIndex;
}

/** The highest index that both majorities have reached. */
export function jointIndex(voters: Voters, reached: (peer: PeerId) => RaftIndex | undefined): RaftIndex {
  const incoming = majorityIndex(voters.incoming, reached);
  return voters.outgoing.size === 0 ? incoming : Math.min(incoming, majorityIndex(voters.outgoing, reached));
}

/** How a vote of a majority stands. Who has not voted still may. */
export function majorityVote(voters: Majority, votes: (peer: PeerId) => boolean | undefined): VoteResult {
  if (voters.size === 0) return "won";
  let [yes, open] = [0, 0];
  for (const peer of voters) {
    const vote = votes(peer);
    if (vote === undefined) open++;
    else if (vote) yes++;
  }
  const needed = Math.floor(voters.size / 2) + 1;
  if (yes >= needed) return "won";
  return yes + open >= needed ? "pending" : "lost";
}

/** How a vote stands that both majorities must win. */
export function jointVote(voters: Voters, votes: (peer: PeerId) => boolean | undefined): VoteResult {
  const incoming = majorityVote(voters.incoming, votes);
  const outgoing = majorityVote(voters.outgoing, votes);
  if (incoming === outgoing) return incoming;
  return incoming === "lost" || outgoing === "lost" ? "lost" : "pending";
}
