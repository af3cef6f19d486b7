/**
 * How far the members are, for nodes that do not lead: the leader's word, asked for when somebody looks and it is older
 * than a second. Whoever looks gets what was told last.
 *
 * Never: asks while nobody looks; waits.
 */
import type { Clock } from "../../lib/clock.ts";
import type { Replica } from "../../replicated/mod.ts";
import type { NodeId } from "../../vocabulary.ts";
import type { ToldExtent } from "./cluster-view.ts";

export interface ToldExtentsOptions {
  readonly replica: Replica;
  readonly ask: (address: string, verb: string, body: unknown) => Promise<unknown>;
  readonly clock: Clock;
}

const freshMs = 1_000;

export class ToldExtents {
  readonly #options: ToldExtentsOptions;
  #told: Readonly<Record<NodeId, ToldExtent>> = {};
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(options: ToldExtentsOptions) {
    this.#options = options;
  }

  /** What was told of this node. */
  of(name: NodeId): ToldExtent | undefined {
    this.#refresh();
    return this.#told[name];
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
    if (leader === undefined || now - this.#askedMs < freshMs) return;
    this.#askedMs = now;
    ask(leader.address, "extents", {}).then(
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
