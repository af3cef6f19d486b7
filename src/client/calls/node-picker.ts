/**
 * Picks the node for a call: the leader for appends, the followers in turn for reads.
 *
 * A node that failed is avoided for a while. If all are avoided, the one whose wait ends first is picked. The seed
 * addresses are kept for when none of the discovered nodes can be reached.
 */
import { Fault } from "../../fault.ts";
import type { NodeId, Role, Term } from "../../types.ts";

export type Purpose = "append" | "read";

/** A node as GetServers describes it. */
export interface KnownServer {
  readonly id: NodeId;
  readonly addr: string;
  readonly isLeader: boolean;
  readonly role: Role;
  readonly term: Term;
}

interface FailedNode {
  readonly avoidUntilMs: number;
  readonly failures: number;
}

const failedNodesMax = 64;

export class NodePicker {
  readonly #seeds: readonly string[];
  #servers: readonly KnownServer[] = [];
  #leader: string | undefined;
  #term: Term = 0;
  readonly #failed = new Map<string, FailedNode>();
  #turn = 0;

  constructor(seeds: readonly string[]) {
    this.#seeds = seeds;
  }

  get servers(): readonly KnownServer[] {
    return this.#servers;
  }

  /** The address of the leader, if it is known. */
  get leader(): string | undefined {
    return this.#leader;
  }

  /** All known addresses: the discovered nodes, then the seeds. */
  get addresses(): readonly string[] {
    return [...new Set([...this.#servers.map(({ addr }) => addr), ...this.#seeds])];
  }

  /** False also if the leader failed and has not succeeded since: there may be another one. */
  get knowsLeader(): boolean {
    return this.#leader !== undefined && !this.#failed.has(this.#leader);
  }

  /**
   * Replaces the known servers. A node that lags can name a former leader, so an older term does not change the leader. A node
   * that has just started names none, which is no news in the same term.
   */
  update(servers: readonly KnownServer[]): void {
    if (servers.length === 0) return;
    const leader = servers.find(({ isLeader }) => isLeader);
    const term = Math.max(...servers.map((server) => server.term));
    const isNews = term > this.#term || (term === this.#term && leader !== undefined);
    if (isNews || !this.knowsLeader) {
      this.#leader = leader?.addr;
      this.#term = term;
    }
    this.#servers = servers;
    for (const addr of this.#failed.keys()) if (!this.addresses.includes(addr)) this.#failed.delete(addr);
  }

  /**
   * Sets the leader that a node named when it rejected an append; undefined if it did not know one. `address` is the
   * leader's address for nodes. The address for clients, from GetServers, is preferred.
   */
  setLeader(id: NodeId | undefined, address?: string): void {
    const known = this.#servers.find((server) => server.id === id);
    this.#leader = known?.addr ?? address;
  }

  /**
   * Picks the node for a call at `nowMs`. The addresses in `avoid`, which the call has tried, are picked only if there is
   * no other. Then all but the last are removed from `avoid`, so that the next round begins with another node.
   * @throws Fault "unavailable" if no address is known
   */
  pick(purpose: Purpose, nowMs: number, avoid?: Set<string>): string {
    const isUsable = (addr: string): boolean =>
      this.#avoidUntilMs(addr) <= nowMs && avoid?.has(addr) !== true;
    if (purpose === "append" && this.#leader !== undefined && isUsable(this.#leader)) return this.#leader;
    for (const group of this.#groups(purpose)) {
      const usable = group.filter(isUsable);
      if (usable.length > 0) return usable[this.#turn++ % usable.length]!;
    }
    if (avoid !== undefined && avoid.size > 0) {
      const [last] = [...avoid].slice(-1);
      const isRepeated = avoid.size === 1;
      avoid.clear();
      if (!isRepeated && last !== undefined) avoid.add(last);
      return this.pick(purpose, nowMs, avoid);
    }
    const [first] = [...this.addresses].sort((a, b) => this.#avoidUntilMs(a) - this.#avoidUntilMs(b));
    if (first === undefined) throw new Fault("unavailable", { message: "no node address is known" });
    return first;
  }

  /** Records a failure. The node is avoided until `avoidUntilMs`. */
  failed(addr: string, avoidUntilMs: number): void {
    this.#failed.set(addr, { avoidUntilMs, failures: this.failuresOf(addr) + 1 });
    if (this.#failed.size > failedNodesMax) this.#failed.delete(this.#failed.keys().next().value as string);
  }

  succeeded(addr: string): void {
    this.#failed.delete(addr);
  }

  /** The number of failures since the last success. */
  failuresOf(addr: string): number {
    return this.#failed.get(addr)?.failures ?? 0;
  }

  /** Groups of addresses in order of preference. An append without a known leader can go to any node: nodes forward. */
  #groups(purpose: Purpose): readonly (readonly string[])[] {
    const withRole = (...included: readonly Role[]): string[] =>
      this.#servers
        .filter(({ role, addr }) => included.includes(role) && addr !== this.#leader)
        .map(({ addr }) => addr);
    const leader = this.#leader === undefined ? [] : [this.#leader];
    const followers = withRole("follower", "candidate", "leader");
    const learners = withRole("learner");
    return purpose === "append"
      ? [followers, learners, this.#seeds]
      : [followers, leader, learners, this.#seeds];
  }

  #avoidUntilMs(addr: string): number {
    return this.#failed.get(addr)?.avoidUntilMs ?? 0;
  }
}
