/**
 * The entrance for peers' messages. All that comes from peers passes here, so here is where entries are checked, each one
 * once: their bytes and their chain, and whether the first new one follows this node's log by content.
 */
import { Fault } from "../../fault.ts";
import type { Core, Message, PeerFaultReason } from "../core/mod.ts";
import type { EntryFormat } from "./ports.ts";
import type { RaftMembership } from "./raft-membership.ts";

export interface ReceiverOptions {
  readonly core: Core;
  readonly membership: RaftMembership;
  readonly format: EntryFormat | undefined;
  readonly onPeerFault: ((why: PeerFaultReason, message: Message) => void) | undefined;
}

export class Receiver {
  readonly #options: ReceiverOptions;

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  /** See RaftNode.receive. */
  receive(message: Message, directory: string | undefined): Fault | undefined {
    const { core, membership, format, onPeerFault } = this.#options;
    const known = membership.member(message.from);
    if (directory !== undefined && known !== undefined && known.directory !== directory) return undefined;
    const why = format?.check(message.entries);
    if (why !== undefined) {
      return new Fault("bad-request", {
        message: `an entry from a peer is damaged (${why})`,
        facts: { why },
      });
    }
    if (this.#follows(message)) core.step(message);
    else onPeerFault?.("not-following", message);
    return undefined;
  }

  /** Whether the entries of an append that are new here follow this node's log by content, too. */
  #follows({ type, term, index, logTerm, entries }: Message): boolean {
    const { core, format } = this.#options;
    if (type !== "append" || entries.length === 0 || format === undefined) return true;
    // The core refuses it or does not need it, or it is behind a snapshot that is still to be installed.
    if (core.pendingSnapshot !== undefined || term < core.term || core.termAt(index) !== logTerm) return true;
    const first = entries.findIndex((entry) => core.termAt(entry.index) !== entry.term);
    if (first < 0 || entries[first]!.index <= core.committed) return true;
    return format.follows(entries.slice(first), (index) => core.unstableEntry(index));
  }
}
