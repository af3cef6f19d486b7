/** The cluster as a story: what changed from one ClusterState to the next, in sentences, newest first, bounded. */

export interface NodeRow {
  readonly id: string;
  readonly rpcAddr: string;
  readonly role: string;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly lag: number;
  readonly lastContactMs: number;
  readonly version: string;
  readonly healthy: boolean;
  readonly lastOffset: number;
}

export interface ClusterShape {
  readonly nodeId: string;
  readonly leaderId: string;
  readonly term: number;
  readonly hasQuorum: boolean;
  readonly nodes: readonly NodeRow[];
}

/** How many nodes may fail, now and when all answer. Learners do not vote, so they do not count. */
export function toleranceOf({ nodes }: ClusterShape): string {
  const voters = nodes.filter(({ role }) => role !== "learner");
  const healthy = voters.filter((node) => node.healthy).length;
  const majority = Math.floor(voters.length / 2) + 1;
  const left = healthy - majority;
  const most = voters.length - majority;
  const group = `${voters.length} ${voters.length === 1 ? "node votes" : "nodes vote"}`;
  if (left < 0) return `${group}, ${healthy} answer, and a majority is ${majority}: nothing can be appended.`;
  const failures = (count: number): string =>
    count === 0 ? "no failure" : `${count} ${count === 1 ? "failure" : "failures"}`;
  if (left === most) return `${group}: the cluster tolerates ${failures(most)}.`;
  return `${group}, ${healthy} answer: the cluster tolerates ${failures(left)} more.`;
}

export type Tone = "good" | "bad" | "plain";

export interface StoryEvent {
  readonly id: number;
  readonly atMs: number;
  readonly tone: Tone;
  readonly text: string;
}

export const storyMax = 200;

/** Returns sentences for what changed between two states. For the first state: who leads. */
export function changes(
  before: ClusterShape | undefined,
  after: ClusterShape,
): { tone: Tone; text: string }[] {
  const found: { tone: Tone; text: string }[] = [];
  if (after.leaderId !== before?.leaderId || after.term !== before.term) {
    if (after.leaderId !== "") {
      const verb = before === undefined ? "leads" : "was elected";
      found.push({ tone: "good", text: `${after.leaderId} ${verb}, term ${after.term}` });
    } else if (before !== undefined && before.leaderId !== "") {
      found.push({ tone: "bad", text: `${before.leaderId} no longer leads, term ${after.term}` });
    }
  }
  if (before !== undefined && before.hasQuorum !== after.hasQuorum) {
    found.push(
      after.hasQuorum ? { tone: "good", text: "quorum is back" } : { tone: "bad", text: "quorum is lost" },
    );
  }
  for (const node of after.nodes) {
    const old = before?.nodes.find((other) => other.id === node.id);
    if (old === undefined || old.healthy === node.healthy) continue;
    found.push(
      node.healthy
        ? { tone: "good", text: `${node.id} answers again` }
        : { tone: "bad", text: `${node.id} does not answer` },
    );
  }
  return found;
}

/** Returns a membership change as a sentence. Elections are part of the cluster state and are left out here. */
export function membershipSentence(
  change: string,
  name: string,
  addr: string,
): { tone: Tone; text: string } | undefined {
  const where = addr === "" ? "" : ` (${addr})`;
  if (change === "elected") return undefined;
  const tone: Tone = change === "failed" ? "bad" : change === "joined" ? "good" : "plain";
  return { tone, text: `${name}${where} ${change}` };
}

/** Returns the history with the new events first. */
export function withEvents(story: readonly StoryEvent[], events: readonly StoryEvent[]): StoryEvent[] {
  return [...events.toReversed(), ...story].slice(0, storyMax);
}
