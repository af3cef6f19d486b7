/**
 * What an operator may do with the members: add, remove, hand over leadership, leave. Done on the leader; any other node
 * passes it on over the peer link, with who asked, and the leader decides anew whether they may.
 *
 * Never: removes a voter when those that would be left could not go on.
 */
import { logObject, type Principal } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { PeerHello } from "../../peer/mod.ts";
import type { Member } from "../../raft/mod.ts";
import { noLeader, type Replica } from "../../replication/mod.ts";
import { whyNotRemove } from "./reconcile.ts";
import type { Reconciler } from "./reconciler.ts";

export interface MembersAdminOptions {
  readonly replica: Replica;
  readonly reconciler: Pick<Reconciler, "judge" | "take" | "view">;
  readonly probe: (address: string) => Promise<PeerHello>;
  readonly ask: (address: string, verb: string, body: unknown, deadlineMs: number) => Promise<unknown>;
  readonly authorize: (caller: Principal, object: string, action: "admin") => void;
  readonly clock: Clock;
}

/** A verb of the peer link and what it carries. */
type Order =
  | { readonly verb: "add"; readonly id: string; readonly addr: string }
  | { readonly verb: "remove"; readonly id: string }
  | { readonly verb: "transfer"; readonly id: string };

/** How long an order may take, leader changes included. */
const orderMs = 10_000;
/** How long a transfer is waited for; Raft gives it up after an election timeout. */
const transferMs = 3_000;
/** How long members may take to answer before they count as gone: two election timeouts. */
const answerMs = 2_000;
const lookMs = 50;
const againMs = 100;

export class MembersAdmin {
  readonly #options: MembersAdminOptions;

  constructor(options: MembersAdminOptions) {
    this.#options = options;
  }

  /** Adds the node at `addr`, which is to say that it is `id` where one is given. */
  async add(id: string, addr: string, caller: Principal): Promise<void> {
    if (addr === "") throw needed("addr");
    await this.#order({ verb: "add", id, addr }, caller);
  }

  async remove(id: string, caller: Principal): Promise<void> {
    if (id === "") throw needed("id");
    await this.#order({ verb: "remove", id }, caller);
  }

  /** Hands leadership to `id`, or, where that is empty, to the voter that is furthest along. Answers who leads then. */
  async transfer(id: string, caller: Principal): Promise<string> {
    return String(await this.#order({ verb: "transfer", id }, caller));
  }

  /** This node is to be a member no more; resolves once it is none. A leader hands over first. */
  async leave(): Promise<void> {
    const { replica } = this.#options;
    if (replica.ready) {
      await this.#checkRemovable(replica.identity);
      await this.handOver(transferMs);
      if (replica.ready) throw refusal("no other voter took over leadership");
    }
    await this.#askLeader("leave", {});
  }

  /** Orders of other nodes; undefined for a verb that is none of them. Rejects with the Fault that refuses it. */
  answer(verb: string, body: unknown, from: PeerHello): Promise<unknown> | undefined {
    if (verb === "leave") return this.#removeHere(from.name, from.directory).then(() => null);
    if (verb !== "add" && verb !== "remove" && verb !== "transfer") return undefined;
    const { subject, isPeer, id, addr } = body as Record<string, unknown>;
    if (typeof subject !== "string" || typeof id !== "string") throw malformed(verb);
    this.#options.authorize({ subject, isPeer: isPeer === true }, logObject, "admin");
    return this.#here(verb === "add" ? { verb, id, addr: String(addr) } : { verb, id });
  }

  /**
   * Leadership goes to another voter, if one is there to take it, of those that `suits` names. Resolves in time, whatever
   * becomes of it.
   */
  async handOver(withinMs: number, suits: (member: Member) => boolean = () => true): Promise<void> {
    const { replica, clock } = this.#options;
    const to = this.#furthest(suits);
    if (!replica.started || !replica.node.isLeader || to === undefined) return;
    const untilMs = clock.monotonicMs() + withinMs;
    replica.node.transferLeadership(to.peer);
    await this.#until(() => replica.node.leader?.name === to.name, untilMs);
    // Given up, perhaps: then whoever waited for the next leader goes on here.
    replica.watch.notify();
  }

  async #order(order: Order, caller: Principal): Promise<unknown> {
    const { replica } = this.#options;
    if (replica.ready) return this.#here(order);
    const { subject, isPeer } = caller;
    return this.#askLeader(order.verb, { ...order, subject, isPeer });
  }

  /** Over the peer link, again while nothing was done because leadership is on its way elsewhere. */
  async #askLeader(verb: string, body: object): Promise<unknown> {
    const { replica, ask, clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + orderMs;
    let last: Fault = new Fault("unavailable", { message: noLeader });
    for (;;) {
      const leader = replica.started && !replica.node.isLeader ? replica.node.leader : undefined;
      try {
        if (leader !== undefined) return (await ask(leader.address, verb, body, deadlineMs)) ?? null;
      } catch (reason) {
        last = Fault.from(reason);
        if (leader === undefined || !isPassing(last, leader.address)) throw last;
      }
      await replica.watch.changed(Math.min(deadlineMs, clock.monotonicMs() + againMs));
      if (clock.monotonicMs() >= deadlineMs) throw last;
    }
  }

  #here(order: Order): Promise<unknown> {
    if (!this.#options.replica.ready) throw new Fault("not-leader");
    if (order.verb === "add") return this.#addHere(order.id, order.addr);
    if (order.verb === "remove") return this.#removeHere(order.id);
    return this.#transferHere(order.id);
  }

  async #addHere(id: string, addr: string): Promise<null> {
    const { reconciler, probe } = this.#options;
    const hello = await probe(addr);
    if (id !== "" && hello.name !== id) {
      throw refusal(`the node at ${addr} is ${hello.name}, not ${id}`);
    }
    // Told by name: it may have belonged before.
    const { next, refused, waiting } = reconciler.judge([{ ...hello, configured: false }]);
    if (refused[0] !== undefined) throw refusal(refused[0].why);
    if (next?.name === hello.name) await reconciler.take(next);
    else if (next !== undefined || waiting) {
      if (!this.#isMember(hello.directory)) throw refusal("another change of the members is under way");
    }
    return null;
  }

  async #removeHere(id: string, directory?: string): Promise<null> {
    const { replica, ask, clock } = this.#options;
    if (!replica.ready) throw new Fault("not-leader");
    const member = replica.node.member(id);
    if (member === undefined) throw new Fault("not-found", { message: `${id} is no member of this cluster` });
    if (directory !== undefined && member.directory !== directory) {
      throw refusal(`${id} has another data directory now`);
    }
    await this.#checkRemovable(member);
    if (member.peer === replica.identity.peer) {
      await this.leave();
      return null;
    }
    await replica.node.proposeChange({
      transition: "auto",
      changes: [{ action: "remove", peer: member.peer }],
    });
    // It would not hear of it otherwise: nobody sends it anything any more.
    await ask(member.address, "removed", {}, clock.monotonicMs() + 1_000).catch(() => undefined);
    return null;
  }

  /** A new leader has not heard from everybody yet, and an old one counts anew every so often: no answer takes time. */
  async #checkRemovable({ name, peer }: Pick<Member, "name" | "peer">): Promise<void> {
    const { clock, reconciler, replica } = this.#options;
    const whyNot = (): string | undefined => whyNotRemove(reconciler.view(), peer);
    await this.#until(() => !replica.ready || whyNot() === undefined, clock.monotonicMs() + answerMs);
    if (!replica.ready) throw new Fault("not-leader");
    const why = whyNot();
    if (why !== undefined) throw refusal(`${name} cannot be removed now, ${why}`);
  }

  async #transferHere(id: string): Promise<string> {
    const { replica, clock } = this.#options;
    if (id === replica.identity.name) return id;
    const to = id === "" ? this.#furthest() : replica.node.member(id);
    if (to === undefined) {
      throw id === ""
        ? refusal("there is no other voter to lead")
        : new Fault("not-found", { message: `${id} is no member of this cluster` });
    }
    if (!replica.node.configuration.voters.includes(to.peer)) throw refusal(`${to.name} is no voter yet`);
    replica.node.transferLeadership(to.peer);
    await this.#until(() => replica.node.leader?.name === to.name, clock.monotonicMs() + transferMs);
    replica.watch.notify();
    const leader = replica.node.leader?.name;
    if (leader === to.name) return leader;
    throw new Fault("unavailable", {
      message: `${to.name} did not take over`,
      facts: leader === undefined ? {} : { leader },
    });
  }

  /** Of the other voters that answer and suit, the one that has most. */
  #furthest(suits: (member: Member) => boolean = () => true): Member | undefined {
    const { replica } = this.#options;
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

  #isMember(directory: string): boolean {
    const members = this.#options.replica.node.configuration.roster?.members ?? [];
    return members.some((member) => member.directory === directory);
  }

  async #until(holds: () => boolean, untilMs: number): Promise<void> {
    const { replica, clock } = this.#options;
    while (!holds() && clock.monotonicMs() < untilMs) {
      await replica.watch.changed(Math.min(untilMs, clock.monotonicMs() + lookMs));
    }
  }
}

/** Is it about who leads? That the leader cannot reach somebody else is its answer, and stays so. */
function isPassing({ retry, kind, facts: { address } }: Fault, leader: string): boolean {
  if (!retry) return false;
  return kind === "not-leader" || (kind === "unavailable" && (address === undefined || address === leader));
}

const refusal = (message: string): Fault => new Fault("failed-precondition", { message });
const needed = (field: string): Fault =>
  new Fault("bad-request", { message: `${field} is needed`, facts: { field } });
const malformed = (verb: string): Fault =>
  new Fault("bad-request", { message: `the order ${verb} is malformed` });
