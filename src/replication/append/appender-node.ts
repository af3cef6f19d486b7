/** The part of the Raft node that the appender needs. */
import type { Fault } from "../../fault.ts";
import type { Entry, ProposalWaiter, RaftNode } from "../../raft/mod.ts";
import type { Term } from "../../types.ts";

export interface AppenderNode {
  readonly isLeader: boolean;
  /** True during a leadership transfer: new appends stay queued for its outcome. */
  readonly isHandingOver: boolean;
  readonly term: Term;
  /** True if this node is the only voter and there are no learners. */
  readonly alone: boolean;
  /** Returns the reason for which nothing was proposed, if so. */
  propose(entries: readonly Entry[], waiter: ProposalWaiter): Fault | undefined;
  /** Requests a turn of Raft, which calls gather(). */
  wake(): void;
  /** Resolves once a majority has confirmed that this node was the leader at the time of the call. */
  confirm(): Promise<unknown>;
}

export function appenderNodeOf(node: RaftNode): AppenderNode {
  return {
    get isLeader() {
      return node.isLeader;
    },
    get isHandingOver() {
      return node.isHandingOver;
    },
    get term() {
      return node.term;
    },
    get alone() {
      const { voters, votersOutgoing, learners } = node.configuration;
      return voters.length + votersOutgoing.length + learners.length === 1;
    },
    propose: (entries, waiter) => node.propose(entries, waiter),
    wake: () => node.wake(),
    confirm: () => node.readIndex(),
  };
}
