/**
 * The leader's loop over the cluster's members: compares the nodes that are there with the configuration, makes the one
 * change that reconcile() decides, and looks again. It looks after an election, after a change in gossip, when a member
 * connects from another address, and every 30 s. Nodes that could not be reached are tried again after growing pauses.
 */
import { Fault } from "../../../fault.ts";
import type { Logger } from "../../../lib/telemetry.ts";
import type { Clock, Timer } from "../../../lib/time/clock.ts";
import type { PeerHello } from "../../../peer/mod.ts";
import type { Member } from "../../../raft/mod.ts";
import { peerIdOf, type Replica } from "../../../replication/mod.ts";
import { isPrefixOf, type LogEnd } from "./log-prefix.ts";
import { ProbePlan } from "./probe-plan.ts";
import {
  type NextStep,
  type Reconciled,
  type ReconcileView,
  type RefusedNode,
  reconcile,
} from "./reconcile.ts";

/** A Tailrace node as gossip or the node itself describes it: a hint. */
export interface Candidate {
  readonly name: string;
  readonly address: string;
  readonly directory: string;
  readonly clusterId: string | undefined;
}

export interface ReconcilerOptions {
  readonly replica: Pick<
    Replica,
    "identity" | "node" | "ready" | "started" | "state" | "storedLog" | "onChange"
  >;
  /** This node's own data: its name or address may have changed too. */
  readonly self: () => PeerHello;
  readonly candidates: () => readonly Candidate[];
  readonly onGossip: (listener: () => void) => () => void;
  readonly probe: (address: string) => Promise<PeerHello>;
  readonly ask: (address: string, verb: string, body: unknown) => Promise<unknown>;
  /** Why a node with a member's data directory is not accepted as that member; undefined if it is. */
  readonly identityProblemOf?: (hello: PeerHello) => string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

const everyMs = 30_000;
const soonMs = 250;
const loggedRefusalsMax = 1_024;

export class Reconciler implements Disposable {
  readonly #options: ReconcilerOptions;
  readonly #stops: (() => void)[];
  /** The last logged refusal by address. A refusal is logged again only when its reason changes. */
  readonly #loggedRefusals = new Map<string, string>();
  readonly #plan = new ProbePlan();
  #timer: Timer | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #running = false;
  #again = false;
  #closed = false;
  /** Number of rounds in a row in which a node could not be reached. */
  #unreached = 0;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#stops = [options.replica.onChange(() => this.look()), options.onGossip(() => this.look())];
  }

  /** Starts a round now, or another one after the current round. Does nothing on a node that does not lead. */
  look(): void {
    const { replica } = this.#options;
    if (this.#closed || !replica.started || !replica.node.isLeader) return;
    if (!replica.ready) {
      this.#later(soonMs);
      return;
    }
    this.#again = true;
    if (!this.#running) void this.#run();
  }

  /** The step that the leader would take for these nodes. */
  decide(hellos: readonly PeerHello[]): Reconciled {
    return reconcile(this.view(hellos));
  }

  view(hellos: readonly PeerHello[] = []): ReconcileView {
    const { replica } = this.#options;
    const { configuration, progress, id, lastIndex } = replica.node.status();
    return {
      clusterId: replica.state.clusterId ?? "",
      leader: id,
      lastIndex,
      configuration,
      progress: progress ?? new Map(),
      hellos,
      identityProblemOf: (hello) => this.#options.identityProblemOf?.(hello),
      peerOf: (directory) => peerIdOf(Buffer.from(directory, "hex")),
    };
  }

  /** Takes the step; resolves when it is in force. @throws Fault of the node or of Raft that prevents it */
  async take(step: NextStep): Promise<void> {
    await this.#adopt(step);
    await this.#change(step);
  }

  /**
   * Tells a node of no cluster the id of this one.
   * @throws Fault "failed-precondition" if the node expects another cluster, or its log is not a prefix of this one's
   */
  async #adopt({ adopt }: NextStep): Promise<void> {
    if (adopt === undefined || adopt.clusterId !== undefined) return;
    const { replica, ask } = this.#options;
    const { storedLog } = replica;
    const end = (await ask(adopt.address, "end", {})) as LogEnd;
    if (!isPrefixOf(storedLog, end)) {
      throw new Fault("failed-precondition", {
        message: `the log of ${adopt.name} is not a prefix of this cluster's log; start it with an empty directory`,
        facts: { node: adopt.name },
      });
    }
    const { index, nextOffset } = storedLog.before;
    const startOffset = index === 0 ? nextOffset : 0;
    await ask(adopt.address, "adopt", { clusterId: replica.state.clusterId, startOffset });
  }

  async #change({ change, why, name }: NextStep): Promise<void> {
    const { replica, logger } = this.#options;
    if (change !== undefined) await replica.node.proposeChange(change);
    logger.info({ member: name, change: why }, "changed the members of the cluster");
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const stop of this.#stops) stop();
  }

  async #run(): Promise<void> {
    this.#running = true;
    const { replica } = this.#options;
    let waiting = false;
    while (this.#again && !this.#closed && replica.ready) {
      this.#again = false;
      try {
        waiting = await this.#round();
      } catch (reason) {
        // Leadership was lost, another change is under way, or a node is unreachable. The next round sees it.
        waiting = true;
        this.#options.logger.debug({ err: reason }, "the members could not be changed now");
      }
    }
    this.#running = false;
    const unreachedMs = this.#unreached === 0 ? everyMs : soonMs * 2 ** Math.min(this.#unreached, 7);
    this.#later(waiting ? soonMs : Math.min(everyMs, unreachedMs));
  }

  async #round(): Promise<boolean> {
    let hellos = await this.#hellos();
    for (;;) {
      const { next, refused, waiting } = this.decide(hellos);
      const why = next === undefined ? undefined : await this.#whyNotAdopted(next);
      if (next?.adopt !== undefined && why !== undefined) {
        // A node that cannot be adopted does not hold up the others.
        const { directory, address } = next.adopt;
        this.#refused(next.name, address, why);
        hellos = hellos.filter((hello) => hello.directory !== directory);
        continue;
      }
      this.#noteRefused(refused);
      if (next === undefined) return waiting;
      await this.#change(next);
      this.#again = true;
      return true;
    }
  }

  async #whyNotAdopted(next: NextStep): Promise<string | undefined> {
    try {
      await this.#adopt(next);
      return undefined;
    } catch (reason) {
      const fault = Fault.from(reason);
      if (fault.kind !== "failed-precondition") throw fault;
      return fault.message;
    }
  }

  #noteRefused(refused: readonly RefusedNode[]): void {
    const { ask } = this.#options;
    for (const { name, address, why, wasRemoved } of refused) {
      this.#refused(name, address, why);
      // In every round, because the node may have restarted. The round does not wait for the answer.
      if (wasRemoved === true) void ask(address, "removed", { late: true }).catch(() => undefined);
    }
  }

  /** Probes the nodes whose data in gossip differs from the configuration, within the limits of the plan. */
  async #hellos(): Promise<PeerHello[]> {
    const { candidates, probe, replica, clock } = this.#options;
    const self = this.#options.self();
    const members = replica.node.configuration.roster?.members ?? [];
    const clusterId = replica.state.clusterId;
    const [byDirectory, names] = [new Map<string, Member>(), new Set<string>()];
    for (const member of members) {
      byDirectory.set(member.directory, member);
      names.add(member.name);
    }
    const doubtful = candidates().flatMap((candidate) => {
      const known = byDirectory.get(candidate.directory);
      const same = known?.name === candidate.name && known.address === candidate.address;
      if ((same && candidate.clusterId === clusterId) || candidate.address === self.address) return [];
      return [{ ...candidate, isMember: known !== undefined || names.has(candidate.name) }];
    });
    const unknown = this.#plan.choose(doubtful, clock.monotonicMs());
    const found = await Promise.allSettled(unknown.map(({ address }) => probe(address)));
    const now = clock.monotonicMs();
    let unreached = unknown.length < doubtful.length;
    const others = found.flatMap((one, at) => {
      const { name, address } = unknown[at]!;
      if (one.status === "fulfilled") {
        this.#plan.answered(address, now);
        return [one.value];
      }
      this.#plan.failed(address, now);
      const fault = Fault.from(one.reason);
      if (fault.kind === "unavailable") unreached = true;
      else this.#refused(name, address, fault.message);
      return [];
    });
    this.#unreached = unreached ? this.#unreached + 1 : 0;
    return [self, ...others];
  }

  #refused(name: string, address: string, why: string): void {
    const logged = this.#loggedRefusals;
    if (logged.get(address) === why) return;
    if (logged.size >= loggedRefusalsMax) logged.clear();
    logged.set(address, why);
    this.#options.logger.warn({ member: name, addr: address, why }, "a node was not added to the cluster");
  }

  #later(delayMs: number): void {
    const { clock } = this.#options;
    const dueMs = clock.monotonicMs() + delayMs;
    if (this.#closed || dueMs >= this.#dueMs) return;
    this.#timer?.cancel();
    this.#dueMs = dueMs;
    this.#timer = clock.after(delayMs, () => {
      this.#dueMs = Number.POSITIVE_INFINITY;
      this.look();
    });
  }
}
