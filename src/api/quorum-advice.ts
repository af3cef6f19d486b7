/** How many voters answer, and what to do when they are too few. Pure. */

export interface Voter {
  readonly id: string;
  readonly role: string;
  readonly healthy: boolean;
}

/**
 * Returns a sentence when fewer voters answer than a majority, so that nothing can be written; else undefined. `nodes`
 * are all members as one node sees them; learners do not count.
 */
export function lostQuorum(nodes: readonly Voter[]): string | undefined {
  const voters = nodes.filter(({ role }) => role !== "learner");
  const away = voters.filter(({ healthy }) => !healthy).map(({ id }) => id);
  const needed = Math.floor(voters.length / 2) + 1;
  const answering = voters.length - away.length;
  if (voters.length === 0 || answering >= needed) return undefined;
  return (
    `quorum lost: ${answering} of ${voters.length} voters ${answering === 1 ? "answers" : "answer"}, ${needed} are needed to write; ` +
    `start ${away.slice(0, 5).join(", ")} again, or, if they are lost forever, see tailrace recover --help`
  );
}
