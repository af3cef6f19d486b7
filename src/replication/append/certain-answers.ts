/**
 * Answers that depend on how the log ends. They wait until that is certain: the groups before are settled, and a quorum
 * confirms that this node was the leader. A deposed leader could otherwise refuse what the new leader would accept.
 */
import { Fault } from "../../fault.ts";
import type { QueuedGroup } from "../../log/mod.ts";
import type { AppenderNode } from "./appender-node.ts";

export class CertainAnswers {
  readonly #node: () => AppenderNode;

  constructor(node: () => AppenderNode) {
    this.#node = node;
  }

  /** Rejects with `refusal` once `before`, and so everything before it, is settled, and this node certainly was the leader. */
  async refuse(before: QueuedGroup | undefined, refusal: () => unknown): Promise<never> {
    await this.confirmed(before);
    throw refusal();
  }

  /** Resolves under the same conditions. @throws Fault "unavailable" if they are not met */
  async confirmed(before: QueuedGroup | undefined): Promise<void> {
    const node = this.#node();
    const { term } = node;
    let cause: unknown;
    try {
      await settled(before);
      await node.confirm();
    } catch (reason) {
      cause = reason;
    }
    // If this node has become a follower, its new leader has confirmed the read: that does not count.
    if (cause === undefined && node.isLeader && node.term === term) return;
    throw new Fault("unavailable", { message: "how the log ends is not certain now", cause });
  }
}

/** Resolves once the group, and so everything before it in its log, is applied; rejects if it failed. */
export function settled(group: QueuedGroup | undefined): Promise<void> {
  if (group === undefined) return Promise.resolve();
  return new Promise((resolve, reject) => {
    group.onSettled((fault) => (fault === undefined ? resolve() : reject(fault)));
  });
}
