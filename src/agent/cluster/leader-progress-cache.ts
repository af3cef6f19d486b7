/**
 * How far the members are, for nodes that do not lead: the leader's word, asked for when somebody looks and it is older
 * than a second, or another leader's. Whoever looks gets what was told last; who wants it fresh waits a moment.
 *
 * Never: asks while nobody looks; lets anybody wait longer than that moment.
 */
import { type Clock, within } from "../../lib/time/clock.ts";
import type { Replica } from "../../replication/mod.ts";
import type { NodeId } from "../../types.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import type { ToldExtent } from "./cluster-view.ts";

export interface ToldExtentsOptions {
  readonly replica: Replica;
  readonly ask: (address: string, verb: string, body: unknown) => Promise<unknown>;
  readonly clock: Clock;
}

const freshMs = 1_000;
/** A leader that does not answer by then is not waited for. */
const answerMs = 250;

export class ToldExtents {
  readonly #options: ToldExtentsOptions;
  #told: Readonly<Record<NodeId, ToldExtent>> = {};
  #askedMs = Number.NEGATIVE_INFINITY;
  #askedWhom = "";
  #answer: Promise<void> = Promise.resolve();

  constructor(options: ToldExtentsOptions) {
    this.#options = options;
  }

  /** What was told of this node. */
  of(name: NodeId): ToldExtent | undefined {
    this.#refresh();
    return this.#told[name];
  }

  /** Resolves when what is told is not old, or cannot be had in time. */
  async fresh(): Promise<void> {
    this.#refresh();
    await within(this.#options.clock, this.#answer, answerMs);
  }

  /** The leader's answer: everybody's. Empty on a node that does not lead. */
  own(): Record<NodeId, ToldExtent> {
    const { replica } = this.#options;
    if (!replica.started) return {};
    const { progress, configuration } = replica.node.status();
    const log = replica.storedLog;
    const found: Record<NodeId, ToldExtent> = {};
    for (const { name, peer } of configuration.roster?.members ?? []) {
      const at = progress?.get(peer);
      if (at !== undefined) found[name] = extentAt(log, Math.min(at.match, log.commitIndex));
    }
    return found;
  }

  #refresh(): void {
    const { replica, ask, clock } = this.#options;
    const now = clock.monotonicMs();
    const leader = replica.started && !replica.node.isLeader ? replica.node.leader : undefined;
    if (leader === undefined) return;
    if (leader.address === this.#askedWhom && now - this.#askedMs < freshMs) return;
    this.#askedMs = now;
    this.#askedWhom = leader.address;
    this.#answer = ask(leader.address, "extents", {}).then(
      (told) => {
        this.#told = told as Record<NodeId, ToldExtent>;
      },
      () => undefined,
    );
  }
}

/** How far somebody is who has everything up to this index. */
export function extentAt(log: Replica["storedLog"], commitIndex: number): ToldExtent {
  const next = log.offsetAfter(commitIndex);
  return { commitIndex, lastOffset: Math.max(0, next - 1), lag: Math.max(0, log.bounds.next - next) };
}
