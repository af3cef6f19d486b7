/** The part of a server that the invariant checker reads. */
import type { PeerId, RaftIndex, RaftNode, Term } from "../raft.ts";
import type { SimReplica } from "../replicas/sim-replica.ts";

export interface ObservedServer {
  readonly peer: PeerId;
  readonly replica: SimReplica;
  readonly term: Term;
  readonly committed: RaftIndex;
  /** The configuration is the one of the log up to this index. */
  readonly applied: RaftIndex;
  readonly lastIndex: RaftIndex;
  readonly isLeader: boolean;
  termAt(index: RaftIndex): Term | undefined;
  readonly configuration: {
    readonly voters: readonly PeerId[];
    readonly votersOutgoing: readonly PeerId[];
    readonly learners: readonly PeerId[];
  };
}

/** Observes the process of a server that has just started. */
export function observedServer(
  server: { readonly peer: PeerId; readonly replica: SimReplica },
  node: RaftNode,
): ObservedServer {
  return {
    peer: server.peer,
    get replica() {
      return server.replica;
    },
    get term() {
      return node.term;
    },
    get committed() {
      return node.committed;
    },
    get applied() {
      return node.applied;
    },
    get lastIndex() {
      return node.lastIndex;
    },
    get isLeader() {
      return node.isLeader;
    },
    get configuration() {
      return node.configuration;
    },
    termAt: (index) => node.termAt(index),
  };
}

/** A majority of the voters and, while joint, of the outgoing voters. Implemented independently of the core. */
export function isQuorum(
  { voters, votersOutgoing }: ObservedServer["configuration"],
  has: (peer: PeerId) => boolean,
): boolean {
  const most = (peers: readonly PeerId[]): boolean =>
    peers.length === 0 || peers.filter(has).length * 2 > peers.length;
  return most(voters) && most(votersOutgoing);
}
