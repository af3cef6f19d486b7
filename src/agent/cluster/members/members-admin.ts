/**
 * The operator's requests about members: add, remove, transfer leadership, leave. The leader executes them. Any other
 * node forwards them over the peer link with the operator's identity, and the leader checks the permission again.
 */
import { logObject, type Principal } from "../../../access/mod.ts";
import { Fault } from "../../../fault.ts";
import type { Clock } from "../../../lib/time/clock.ts";
import type { PeerHello } from "../../../peer/mod.ts";
import type { Member } from "../../../raft/mod.ts";
import type { Replica } from "../../../replication/mod.ts";
import { askLeader } from "../ask-leader.ts";
import { type LeadershipTransfer, transferMs } from "./leadership-transfer.ts";
import { whyNotRemove } from "./reconcile.ts";
import type { Reconciler } from "./reconciler.ts";
import { waitFor } from "./wait-for.ts";

export interface MembersAdminOptions {
  readonly replica: Replica;
  readonly reconciler: Pick<Reconciler, "decide" | "take" | "view">;
  readonly leadership: LeadershipTransfer;
  readonly probe: (address: string) => Promise<PeerHello>;
  readonly ask: (address: string, verb: string, body: unknown, deadlineMs: number) => Promise<unknown>;
  readonly authorize: (caller: Principal, object: string, action: "admin") => void;
  readonly clock: Clock;
}

/** A request, as it is forwarded: its verb and fields on the peer link. */
type AdminRequest =
  | { readonly verb: "add"; readonly id: string; readonly addr: string }
  | { readonly verb: "remove"; readonly id: string }
  | { readonly verb: "transfer"; readonly id: string };

/** How long to wait for members to answer before they count as unreachable: two election timeouts. */
const answerMs = 2_000;

export class MembersAdmin {
  readonly #options: MembersAdminOptions;

  constructor(options: MembersAdminOptions) {
    this.#options = options;
  }

  /** Adds the node at `addr`, which must have the name `id` unless `id` is empty. */
  async add(id: string, addr: string, caller: Principal): Promise<void> {
    if (addr === "") throw missing("addr");
    await this.#request({ verb: "add", id, addr }, caller);
  }

  async remove(id: string, caller: Principal): Promise<void> {
    if (id === "") throw missing("id");
    await this.#request({ verb: "remove", id }, caller);
  }

  /** Makes `id` the leader, or the voter with the longest log if `id` is empty. Resolves to the leader's name. */
  async transfer(id: string, caller: Principal): Promise<string> {
    return String(await this.#request({ verb: "transfer", id }, caller));
  }

  /** Removes this node from its cluster; resolves when that is committed. A leader hands over first. */
  async leave(): Promise<void> {
    const { replica, leadership } = this.#options;
    if (replica.ready) {
      await this.#checkRemovable(replica.identity);
      await leadership.handOver(transferMs);
      if (replica.ready) throw refusal("no other voter took over leadership");
    }
    await this.#askLeader("leave", {});
  }

  /**
   * Executes a forwarded request of another node; undefined for a verb of another kind.
   * @throws Fault that refuses the request
   */
  answer(verb: string, body: unknown, from: PeerHello): Promise<unknown> | undefined {
    if (verb === "leave") return this.#removeHere(from.name, from.directory).then(() => null);
    if (verb !== "add" && verb !== "remove" && verb !== "transfer") return undefined;
    const { subject, isPeer, id, addr } = body as Record<string, unknown>;
    if (typeof subject !== "string" || typeof id !== "string") throw malformed(verb);
    this.#options.authorize({ subject, isPeer: isPeer === true }, logObject, "admin");
    return this.#here(verb === "add" ? { verb, id, addr: String(addr) } : { verb, id });
  }

  async #request(request: AdminRequest, caller: Principal): Promise<unknown> {
    const { replica } = this.#options;
    if (replica.ready) return this.#here(request);
    const { subject, isPeer } = caller;
    return this.#askLeader(request.verb, { ...request, subject, isPeer });
  }

  #askLeader(verb: string, body: object): Promise<unknown> {
    return askLeader(this.#options, verb, body);
  }

  #here(request: AdminRequest): Promise<unknown> {
    if (!this.#options.replica.ready) throw new Fault("not-leader");
    if (request.verb === "add") return this.#addHere(request.id, request.addr);
    if (request.verb === "remove") return this.#removeHere(request.id);
    return this.#options.leadership.to(request.id);
  }

  async #addHere(id: string, addr: string): Promise<null> {
    const { reconciler, probe } = this.#options;
    const hello = await probe(addr);
    if (id !== "" && hello.name !== id) {
      throw refusal(`the node at ${addr} is ${hello.name}, not ${id}`);
    }
    // The operator names this node, so it is added even if it was removed before.
    const { next, refused, waiting } = reconciler.decide([{ ...hello, configured: false }]);
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
    if (member === undefined)
      throw new Fault("not-found", { message: `${id} is not a member of this cluster` });
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
    // The leader sends the removed node nothing more, so it would not learn of the removal from Raft.
    await ask(member.address, "removed", {}, clock.monotonicMs() + 1_000).catch(() => undefined);
    return null;
  }

  /** Waits a moment for members to answer: a leader checks its followers' activity only once per election timeout. */
  async #checkRemovable({ name, peer }: Pick<Member, "name" | "peer">): Promise<void> {
    const { clock, reconciler, replica } = this.#options;
    const whyNot = (): string | undefined => whyNotRemove(reconciler.view(), peer);
    const holds = (): boolean => !replica.ready || whyNot() === undefined;
    await waitFor(replica, clock, holds, clock.monotonicMs() + answerMs);
    if (!replica.ready) throw new Fault("not-leader");
    const why = whyNot();
    if (why !== undefined) throw refusal(`${name} cannot be removed now, ${why}`);
  }

  #isMember(directory: string): boolean {
    const members = this.#options.replica.node.configuration.roster?.members ?? [];
    return members.some((member) => member.directory === directory);
  }
}

const refusal = (message: string): Fault => new Fault("failed-precondition", { message });
const missing = (field: string): Fault =>
  new Fault("bad-request", { message: `${field} is needed`, facts: { field } });
const malformed = (verb: string): Fault =>
  new Fault("bad-request", { message: `the peer request ${verb} is malformed` });
