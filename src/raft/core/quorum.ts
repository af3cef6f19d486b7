/**
 * The decisions of one majority, or of two majorities at once. Pure arithmetic.
 *
 * An empty half agrees to everything, so a configuration that is not joint is a joint one with an empty outgoing half.
 */
import type { PeerId, RaftIndex } from "./types.ts";

export type VoteResult = "won" | "lost" | "pending";
export type Majority = ReadonlySet<PeerId>;

/** The voters of the configuration and, while it is joint, of the one being left. */
export interface Voters {
  readonly incoming: Majority;
  readonly outgoing: Majority;
}

/** The highest index that a majority has reached; Infinity without voters. A voter without an index counts as 0. */
export function majorityIndex(voters: Majority, reached: (peer: PeerId) => RaftIndex | undefined): RaftIndex {
  const count = voters.size;
  if (count === 0) return Number.POSITIVE_INFINITY;
  const indexes: RaftIndex[] = [];
  for (const peer of voters) {
    // Insertion sort: majorities are small, and mostly in order already.
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

/** The result of a vote by one majority. Voters that have not voted still can. */
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

/** The result of a vote that both majorities must win. */
export function jointVote(voters: Voters, votes: (peer: PeerId) => boolean | undefined): VoteResult {
  const incoming = majorityVote(voters.incoming, votes);
  const outgoing = majorityVote(voters.outgoing, votes);
  if (incoming === outgoing) return incoming;
  return incoming === "lost" || outgoing === "lost" ? "lost" : "pending";
}
