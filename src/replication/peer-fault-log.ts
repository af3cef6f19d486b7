/** Logs messages of peers that break Raft's invariants, once for each reason, peer and term: they may be frequent. */
import type { Logger } from "../lib/telemetry.ts";
import type { Message, PeerFaultReason, RaftNode } from "../raft/mod.ts";

const reportedMax = 1_024;

export class PeerFaultLog {
  readonly #logger: Logger;
  readonly #reported = new Set<string>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  report(why: PeerFaultReason, { type, from, term, index, commit }: Message, node: RaftNode): void {
    const key = `${why} ${from} ${term}`;
    if (this.#reported.has(key)) return;
    if (this.#reported.size >= reportedMax) this.#reported.clear();
    this.#reported.add(key);
    const peer = node.configuration.roster?.members.find((member) => member.peer === from)?.name;
    const { lastIndex } = node;
    this.#logger.error(
      { why, peer, type, term, index, commit, lastIndex },
      "ignored an impossible message of a peer: acknowledged entries may be lost there or here",
    );
  }
}
