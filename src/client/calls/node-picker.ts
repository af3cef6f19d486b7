/**
 * Which node a call goes to: appends to the leader, reads to the followers in turn. Pure.
 *
 * A node that failed rests for a while; when all rest, the one that may wake first is picked, for trying is better
 * than giving up. The seeds stay in hand for when none of the nodes they named can be reached.
 *
 * Never: dials, knows the time by itself.
 */
import { Fault } from "../../fault.ts";
import type { NodeId, Role, Term } from "../../types.ts";

export type Purpose = "append" | "read";

/** A node as GetServers tells it. */
export interface KnownServer {
  readonly id: NodeId;
  readonly addr: string;
  readonly isLeader: boolean;
  readonly role: Role;
  readonly term: Term;
}

interface Rest {
  readonly untilMs: number;
  readonly failures: number;
}

export class NodePicker {
  readonly #seeds: readonly string[];
  #servers: readonly KnownServer[] = [];
  #leader: string | undefined;
  #term: Term = 0;
  readonly #rests = new Map<string, Rest>();
  #turn = 0;

  constructor(seeds: readonly string[]) {
    this.#seeds = seeds;
  }

  get servers(): readonly KnownServer[] {
    return this.#servers;
  }

  /** Where appends go, if that is known. */
  get leader(): string | undefined {
    return this.#leader;
  }

  /** Every address there is, the known nodes first. */
  get addresses(): readonly string[] {
    return [...new Set([...this.#servers.map(({ addr }) => addr), ...this.#seeds])];
  }

  /** What a node told. One that lags behind may name a leader of the past: an older term does not unseat a newer. */
  update(servers: readonly KnownServer[]): void {
    if (servers.length === 0) return;
    const told = servers.find(({ isLeader }) => isLeader);
    const term = Math.max(...servers.map((server) => server.term));
    if (term >= this.#term || this.#isResting(this.#leader)) {
      this.#leader = told?.addr;
      this.#term = term;
    }
    this.#servers = servers;
    for (const addr of this.#rests.keys()) if (!this.addresses.includes(addr)) this.#rests.delete(addr);
  }

  /**
   * A node refused an append and named the leader, with its address as nodes see it; or did not know it. Where the
   * servers told one for that name, that is the address for clients.
   */
  setLeader(id: NodeId | undefined, address?: string): void {
    const known = this.#servers.find((server) => server.id === id);
    this.#leader = known?.addr ?? address;
  }

  /**
   * The node for a call. `avoid` are those that this call has tried in vain: once there is no other, it is emptied,
   * and they are tried again. Throws Fault "unavailable" when no address is known.
   */
  pick(purpose: Purpose, nowMs: number, avoid?: Set<string>): string {
    const awake = (addr: string): boolean => this.#wakesAt(addr) <= nowMs && avoid?.has(addr) !== true;
    if (purpose === "append" && this.#leader !== undefined && awake(this.#leader)) return this.#leader;
    for (const group of this.#groups(purpose)) {
      const able = group.filter(awake);
      if (able.length > 0) return able[this.#turn++ % able.length]!;
    }
    if (avoid !== undefined && avoid.size > 0) {
      avoid.clear();
      return this.pick(purpose, nowMs);
    }
    const [first] = [...this.addresses].sort((a, b) => this.#wakesAt(a) - this.#wakesAt(b));
    if (first === undefined) throw new Fault("unavailable", { message: "no node is known to connect to" });
    return first;
  }

  /** It failed: leave it alone until then. */
  failed(addr: string, untilMs: number): void {
    this.#rests.set(addr, { untilMs, failures: this.failuresOf(addr) + 1 });
    if (this.#rests.size > 64) this.#rests.delete(this.#rests.keys().next().value as string);
  }

  succeeded(addr: string): void {
    this.#rests.delete(addr);
  }

  /** How often in a row it has failed. */
  failuresOf(addr: string): number {
    return this.#rests.get(addr)?.failures ?? 0;
  }

  /** In order of preference; within one, in turn. An append without a leader goes anywhere: nodes forward. */
  #groups(purpose: Purpose): readonly (readonly string[])[] {
    const of = (...roles: readonly Role[]): string[] =>
      this.#servers
        .filter(({ role, addr }) => roles.includes(role) && addr !== this.#leader)
        .map(({ addr }) => addr);
    const leader = this.#leader === undefined ? [] : [this.#leader];
    const followers = of("follower", "candidate", "leader");
    const learners = of("learner");
    return purpose === "append"
      ? [followers, learners, this.#seeds]
      : [followers, leader, learners, this.#seeds];
  }

  #isResting(addr: string | undefined): boolean {
    return addr === undefined || this.#rests.has(addr);
  }

  #wakesAt(addr: string): number {
    return this.#rests.get(addr)?.untilMs ?? 0;
  }
}
