/** The configuration with which a cluster begins. All its nodes compute the same one, in whatever order they are named. */
import { type ConfState, emptyConfState, type Member } from "../../raft/mod.ts";

/** All members are voters. There is at least one. */
export function initialConfiguration(members: readonly Member[]): ConfState {
  const sorted = [...members].sort((a, b) => a.peer - b.peer);
  const voters = sorted.map(({ peer }) => peer);
  return {
    ...emptyConfState,
    voters,
    roster: { members: sorted, nextPeer: Math.max(...voters) + 1 },
  };
}
