/** Hands queued proposals to the core, and says why one is refused. */
import { Fault } from "../../fault.ts";
import { type Core, type Member, noPeer } from "../core/mod.ts";
import type { Proposals, Queued } from "./proposals.ts";

export interface ProposerOptions {
  readonly core: Core;
  readonly proposals: Proposals;
  /** Bytes of entries in one append. */
  readonly messageBytesMax: number;
  readonly leader: () => Member | undefined;
}

export class Proposer {
  readonly #options: ProposerOptions;
  #isChangeRefused = false;

  constructor(options: ProposerOptions) {
    this.#options = options;
  }

  /** Notes that the core put an empty entry in the place of a change that the configuration does not allow. */
  noteChangeRefused(): void {
    this.#isChangeRefused = true;
  }

  /** Hands over what is queued, in appends of up to messageBytesMax; a change of configuration goes alone. */
  proposeQueued(): void {
    const { proposals, messageBytesMax } = this.#options;
    let [group, bytes]: [Queued[], number] = [[], 0];
    const flush = (): void => {
      if (group.length > 0) this.#propose(group);
      [group, bytes] = [[], 0];
    };
    for (const queued of proposals.takeQueued()) {
      const alone = queued.entries.some((entry) => entry.change !== undefined);
      const size = queued.entries.reduce((sum, entry) => sum + entry.bytes.length, 0);
      if (alone || bytes + size > messageBytesMax) flush();
      group.push(queued);
      bytes += size;
      if (alone) flush();
    }
    flush();
  }

  /** The answer of a node that does not lead. */
  notLeader(): Fault {
    const leader = this.#options.leader();
    if (leader === undefined) return new Fault("unavailable", { message: "there is no leader" });
    return new Fault("not-leader", {
      message: "this node is not the leader",
      facts: { leader: leader.name, address: leader.address },
    });
  }

  #propose(group: readonly Queued[]): void {
    const { core, proposals } = this.#options;
    let last = core.lastIndex;
    this.#isChangeRefused = false;
    const [only] = group as [Queued];
    const entries = group.length === 1 ? only.entries : group.flatMap((queued) => queued.entries);
    if (core.propose(entries) !== undefined) {
      for (const { waiter } of group) waiter.failed(this.#refusal());
      return;
    }
    if (this.#isChangeRefused) {
      only.waiter.failed(
        new Fault("failed-precondition", { message: "the configuration does not allow this change now" }),
      );
      return;
    }
    for (const queued of group) {
      const first = last + 1;
      last += queued.entries.length;
      proposals.accepted(queued.waiter, first, last, core.term);
    }
  }

  #refusal(): Fault {
    const { core } = this.#options;
    if (core.role !== "leader") return this.notLeader();
    if (core.transferee !== noPeer) {
      return new Fault("unavailable", { message: "leadership is being handed over" });
    }
    return core.progressOf(core.id) === undefined
      ? new Fault("unavailable", { message: "this leader was removed" })
      : new Fault("overloaded", { message: "too many bytes wait to be committed" });
  }
}
