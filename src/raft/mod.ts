/** Raft: a pure core and the node that drives it. It does not know what an entry means. DESIGN.md describes both. */
export {
  type ConfChange,
  type ConfState,
  type Entry,
  emptyConfState,
  type HardState,
  type InitialState,
  limitBytes,
  type Member,
  type Message,
  type MessageType,
  message,
  noPeer,
  type PeerChange,
  type PeerFaultReason,
  type PeerId,
  proposal,
  type Roster,
  type Snapshot,
} from "./core/mod.ts";
export { RaftNode } from "./node/node.ts";
export type { NodeStatus, RaftNodeOptions } from "./node/options.ts";
export type {
  EntryFormat,
  ProposalWaiter,
  RaftStorage,
  RaftTransport,
  StateMachine,
  StorageChanges,
} from "./node/ports.ts";
export { promiseIn } from "./node/promise.ts";
