/** Hands leadership of this node to another voter, and waits until that voter leads. */
import { Fault } from "../../../fault.ts";
import type { Clock } from "../../../lib/time/clock.ts";
import type { Member } from "../../../raft/mod.ts";
import type { Replica } from "../../../replication/mod.ts";
import { waitFor } from "./wait-for.ts";

/** How long to wait for a transfer. Raft gives it up after an election timeout. */
export const transferMs = 3_000;

export class LeadershipTransfer {
  readonly #replica: Replica;
  readonly #clock: Clock;

  constructor(replica: Replica, clock: Clock) {
    this.#replica = replica;
    this.#clock = clock;
  }

  /**
   * Hands leadership to the voter with the longest log among those that `suits` accepts, if there is one. Resolves within
   * `withinMs`, also if no voter took over.
   */
  async handOver(withinMs: number, suits: (member: Member) => boolean = () => true): Promise<void> {
    const replica = this.#replica;
    const to = this.#longest(suits);
    if (!replica.started || !replica.node.isLeader || to === undefined) return;
    await this.#transfer(to, withinMs);
  }

  /**
   * Makes `id` the leader, or the voter with the longest log if `id` is empty. Resolves to the leader's name.
   * @throws Fault "failed-precondition", "not-found", or "unavailable" if it did not take over
   */
  async to(id: string): Promise<string> {
    const replica = this.#replica;
    if (id === replica.identity.name) return id;
    const to = id === "" ? this.#longest() : replica.node.member(id);
    if (to === undefined) {
      throw id === ""
        ? new Fault("failed-precondition", { message: "no other voter can lead" })
        : new Fault("not-found", { message: `${id} is not a member of this cluster` });
    }
    if (!replica.node.configuration.voters.includes(to.peer)) {
      throw new Fault("failed-precondition", { message: `${to.name} is not a voter yet` });
    }
    await this.#transfer(to, transferMs);
    const leader = replica.node.leader?.name;
    if (leader === to.name) return leader;
    throw new Fault("unavailable", {
      message: `${to.name} did not take over`,
      facts: leader === undefined ? {} : { leader },
    });
  }

  async #transfer(to: Member, withinMs: number): Promise<void> {
    const replica = this.#replica;
    const untilMs = this.#clock.monotonicMs() + withinMs;
    replica.node.transferLeadership(to.peer);
    await waitFor(replica, this.#clock, () => replica.node.leader?.name === to.name, untilMs);
    // If Raft gave the transfer up, writes that wait for the next leader continue on this node.
    replica.watch.notify();
  }

  /** The other active voter with the longest log. */
  #longest(suits: (member: Member) => boolean = () => true): Member | undefined {
    const replica = this.#replica;
    if (!replica.started) return undefined;
    const { progress, configuration } = replica.node.status();
    let best: { readonly member: Member; readonly match: number } | undefined;
    for (const member of configuration.roster?.members ?? []) {
      const { peer } = member;
      const at = progress?.get(peer);
      if (peer === replica.identity.peer || at?.active !== true || !configuration.voters.includes(peer))
        continue;
      if (!suits(member)) continue;
      if (best === undefined || at.match > best.match) best = { member, match: at.match };
    }
    return best?.member;
  }
}
