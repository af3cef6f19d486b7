/**
 * Caches the members' log progress, as the leader reports it, on nodes that do not lead. A read returns the last report,
 * and asks for a new one if the last is older than a second or from another leader. fresh() waits for the new report.
 */
import { type Clock, within } from "../../lib/time/clock.ts";
import type { Replica } from "../../replication/mod.ts";
import type { NodeId } from "../../types.ts";
import { type LogProgress, progressAt } from "./log-progress.ts";

export interface LeaderProgressCacheOptions {
  readonly replica: Replica;
  readonly ask: (address: string, verb: string, body: unknown) => Promise<unknown>;
  readonly clock: Clock;
}

const freshMs = 1_000;
/** How long fresh() waits for the leader. */
const answerMs = 250;

export class LeaderProgressCache {
  readonly #options: LeaderProgressCacheOptions;
  #report: Readonly<Record<NodeId, LogProgress>> = {};
  #askedMs = Number.NEGATIVE_INFINITY;
  #askedAddress = "";
  #answer: Promise<void> = Promise.resolve();

  constructor(options: LeaderProgressCacheOptions) {
    this.#options = options;
  }

  /** The progress of a member in the last report. */
  of(name: NodeId): LogProgress | undefined {
    this.#refresh();
    return this.#report[name];
  }

  /** Resolves when the report is at most a second old, or the leader did not answer within 250 ms. */
  async fresh(): Promise<void> {
    this.#refresh();
    await within(this.#options.clock, this.#answer, answerMs);
  }

  /** The report of this node as the leader: the progress of all members. Empty if this node does not lead. */
  own(): Record<NodeId, LogProgress> {
    const { replica } = this.#options;
    if (!replica.started) return {};
    const { progress, configuration } = replica.node.status();
    const log = replica.storedLog;
    const found: Record<NodeId, LogProgress> = {};
    for (const { name, peer } of configuration.roster?.members ?? []) {
      const at = progress?.get(peer);
      if (at !== undefined) found[name] = progressAt(log, Math.min(at.match, log.commitIndex));
    }
    return found;
  }

  #refresh(): void {
    const { replica, ask, clock } = this.#options;
    const now = clock.monotonicMs();
    const leader = replica.started && !replica.node.isLeader ? replica.node.leader : undefined;
    if (leader === undefined) return;
    if (leader.address === this.#askedAddress && now - this.#askedMs < freshMs) return;
    this.#askedMs = now;
    this.#askedAddress = leader.address;
    this.#answer = ask(leader.address, "extents", {}).then(
      (report) => {
        this.#report = report as Record<NodeId, LogProgress>;
      },
      () => undefined,
    );
  }
}
