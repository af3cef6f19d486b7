/** What to do if too few voters respond. */

export interface Voter {
  readonly id: string;
  readonly role: string;
  readonly healthy: boolean;
}

/**
 * Returns advice if fewer voters than a majority respond, so that nothing can be written; otherwise undefined. `nodes`
 * are all members as one node sees them. Learners do not count.
 */
export function quorumAdvice(nodes: readonly Voter[]): string | undefined {
  const voters = nodes.filter(({ role }) => role !== "learner");
  const missing = voters.filter(({ healthy }) => !healthy).map(({ id }) => id);
  const needed = Math.floor(voters.length / 2) + 1;
  const responding = voters.length - missing.length;
  if (voters.length === 0 || responding >= needed) return undefined;
  return (
    `quorum lost: ${responding} of ${voters.length} voters ${responding === 1 ? "responds" : "respond"}, ${needed} are needed to write; ` +
    `start ${missing.slice(0, 5).join(", ")} again, or, if they are lost forever, see tailrace recover --help`
  );
}
