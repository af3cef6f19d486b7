/** Forwards a request of an operator to the leader over the peer link. */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { noLeaderMessage, type Replica } from "../../replication/mod.ts";

export interface AskLeaderPorts {
  readonly replica: Pick<Replica, "started" | "node" | "watch">;
  readonly ask: (address: string, verb: string, body: unknown, deadlineMs: number) => Promise<unknown>;
  readonly clock: Clock;
}

/** How long a request may take, leader changes included. */
const requestMs = 10_000;
const retryMs = 100;

/**
 * Resolves to the answer of the leader. Retries while leadership changes and the request was not executed.
 * @throws Fault of the leader, or "unavailable"
 */
export async function askLeader(
  { replica, ask, clock }: AskLeaderPorts,
  verb: string,
  body: object,
): Promise<unknown> {
  const deadlineMs = clock.monotonicMs() + requestMs;
  let last: Fault = new Fault("unavailable", { message: noLeaderMessage });
  for (;;) {
    const leader = replica.started && !replica.node.isLeader ? replica.node.leader : undefined;
    try {
      if (leader !== undefined) return (await ask(leader.address, verb, body, deadlineMs)) ?? null;
    } catch (reason) {
      last = Fault.from(reason);
      if (leader === undefined || !isLeaderChange(last, leader.address)) throw last;
    }
    await replica.watch.changed(Math.min(deadlineMs, clock.monotonicMs() + retryMs));
    if (clock.monotonicMs() >= deadlineMs) throw last;
  }
}

/** A failure because leadership changes. A leader that cannot reach a third node is a final answer. */
function isLeaderChange({ retry, kind, facts: { address } }: Fault, leader: string): boolean {
  if (!retry) return false;
  return kind === "not-leader" || (kind === "unavailable" && (address === undefined || address === leader));
}
