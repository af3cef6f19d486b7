/**
 * The leader's loop: looks at who is there when it is elected, when gossip tells of a change or a member calls from
 * another address, and every 30 s; makes one change and looks again. Somebody who is alive in gossip and was not reached
 * is tried again soon, then ever later.
 *
 * Never: decides (see reconcile.ts); works on a node that does not lead.
 */
import { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { PeerHello } from "../../peer/mod.ts";
import type { Member } from "../../raft/mod.ts";
import { peerOf, type Replica } from "../../replication/mod.ts";
import { type BroughtEnd, isBeginningOf } from "./log-prefix.ts";
import { ProbePlan } from "./probe-plan.ts";
import { type NextStep, type Reconciled, type ReconcileView, type Refusal, reconcile } from "./reconcile.ts";

/** Somebody of ours, as gossip has it, or as it says itself: a hint. */
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
  /** What this node says of itself: it may have moved too. */
  readonly self: () => PeerHello;
  readonly candidates: () => readonly Candidate[];
  readonly onGossip: (listener: () => void) => () => void;
  readonly probe: (address: string) => Promise<PeerHello>;
  readonly ask: (address: string, verb: string, body: unknown) => Promise<unknown>;
  /** Why a node is not followed as the member whose data directory it has, if so. */
  readonly doubts?: (hello: PeerHello) => string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

const everyMs = 30_000;
const soonMs = 250;

export class Reconciler implements Disposable {
  readonly #options: ReconcilerOptions;
  readonly #stops: (() => void)[];
  /** Reasons told already, by address: each is told once until it changes. */
  readonly #told = new Map<string, string>();
  readonly #plan = new ProbePlan();
  #timer: Timer | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #running = false;
  #again = false;
  #closed = false;
  /** Rounds in a row in which somebody could not be reached. */
  #unreached = 0;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#stops = [options.replica.onChange(() => this.look()), options.onGossip(() => this.look())];
  }

  /** Looks now, or once more when it is looking already. */
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

  /** What would be done about these, who have just said hello. */
  judge(hellos: readonly PeerHello[]): Reconciled {
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
      doubts: (hello) => this.#options.doubts?.(hello),
      peerOf: (directory) => peerOf(Buffer.from(directory, "hex")),
    };
  }

  /** Takes the step; resolves once it is in force. Rejects with the Fault of who stands in its way. */
  async take(step: NextStep): Promise<void> {
    await this.#adopt(step);
    await this.#change(step);
  }

  /** Tells a node of no cluster that it is in this one. Fault "failed-precondition" where it, or its log, does not fit. */
  async #adopt({ adopt }: NextStep): Promise<void> {
    if (adopt === undefined || adopt.clusterId !== undefined) return;
    const { replica, ask } = this.#options;
    const { storedLog } = replica;
    const brought = (await ask(adopt.address, "end", {})) as BroughtEnd;
    if (!isBeginningOf(storedLog, brought)) {
      throw new Fault("failed-precondition", {
        message: `${adopt.name} brings a log that is not the beginning of this cluster's; it needs an empty directory`,
        facts: { node: adopt.name },
      });
    }
    const { index, nextOffset } = storedLog.start.end;
    const startOffset = index === 0 ? nextOffset : 0;
    await ask(adopt.address, "adopt", { clusterId: replica.state.clusterId, startOffset });
  }

  async #change({ change, why, name }: NextStep): Promise<void> {
    const { replica, logger } = this.#options;
    if (change !== undefined) await replica.node.proposeChange(change);
    logger.info({ member: name, change: why }, "the members of the cluster change");
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
        // Not led any more, another change under way, somebody gone: the next look will tell.
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
      const { next, refused, waiting } = this.judge(hellos);
      const why = next === undefined ? undefined : await this.#whyNotAdopted(next);
      if (next?.adopt !== undefined && why !== undefined) {
        // Nobody else has to wait for one that does not fit.
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

  #noteRefused(refused: readonly Refusal[]): void {
    const { ask } = this.#options;
    for (const { name, address, why, wasRemoved } of refused) {
      this.#refused(name, address, why);
      // Each time: it may have been started anew. Nobody waits for it.
      if (wasRemoved === true) void ask(address, "removed", { late: true }).catch(() => undefined);
    }
  }

  /** Speaks with nodes that are not known just as gossip has them, within the limits of the plan. */
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
    if (this.#told.get(address) === why) return;
    if (this.#told.size >= 1_024) this.#told.clear();
    this.#told.set(address, why);
    this.#options.logger.warn({ member: name, addr: address, why }, "not taken into the cluster");
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
