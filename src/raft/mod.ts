/**
 * The Raft room: a pure core and the node that drives it. DESIGN.md says how they fit.
 *
 * Never: knows what an entry means.
 */
export {
  type ConfChange,
  type ConfState,
  type Entry,
  emptyConfState,
  type HardState,
  type InitialState,
  type Member,
  type Message,
  type MessageType,
  message,
  nobody,
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
