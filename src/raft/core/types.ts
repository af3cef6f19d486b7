/**
 * The words of the Raft core: entries, messages, configurations and what a node must remember. Plain data.
 *
 * The names are the Raft papers'. A peer is a small whole number here (from 1; 0 is nobody): the driver knows
 * which node's name it stands for, and a number is never given to another node.
 *
 * Never: does anything.
 */
import type { NodeId, RaftIndex, Term } from "../../types.ts";

export type { RaftIndex, Term } from "../../types.ts";

/** A member's number, from 1. */
export type PeerId = number;
/** Nobody: no vote, no leader. */
export const nobody: PeerId = 0;
/** Who storage messages are addressed to, and answered by, instead of a peer. */
export const appendThread: PeerId = -1;
export const applyThread: PeerId = -2;

/** What a node is in its term. A learner is a follower that the configuration calls one. */
export type RaftRole = "follower" | "pre-candidate" | "candidate" | "leader";

/** How one change treats one peer. `update` changes nothing that Raft cares for. Peer 0 is ignored. */
export interface PeerChange {
  readonly action: "voter" | "learner" | "remove" | "update";
  readonly peer: PeerId;
}

/**
 * A change of configuration. No changes at all means: leave the joint configuration.
 * `auto` goes through a joint configuration only if there is more than one change, and leaves it by itself;
 * `implicit` always goes through one and leaves it by itself; `explicit` leaves it only when told.
 */
export interface ConfChange {
  readonly transition: "auto" | "implicit" | "explicit";
  readonly changes: readonly PeerChange[];
  /** Who the peers are that this brings in, or that are somewhere else now. Carried, never looked at. */
  readonly members?: readonly Member[];
  /**
   * The configuration that this changes. A node that has none, because it joins and plays the log from its start,
   * takes it from here: the first configuration of a cluster stands in no entry.
   */
  readonly base?: ConfState;
}

/** Who a peer is. */
export interface Member {
  readonly peer: PeerId;
  readonly name: NodeId;
  /** The identity of its data directory: an empty one in its place is someone else. */
  readonly directory: string;
  readonly address: string;
}

/** Who all peers are, and the lowest number that no peer ever had. */
export interface Roster {
  readonly members: readonly Member[];
  readonly nextPeer: PeerId;
}

/** Who votes and who only listens, as it is kept in snapshots. Lists are sorted. */
export interface ConfState {
  readonly voters: readonly PeerId[];
  /** The voters of the configuration being left; not empty only while joint. */
  readonly votersOutgoing: readonly PeerId[];
  readonly learners: readonly PeerId[];
  /** Voters of the outgoing configuration that become learners once it is left. */
  readonly learnersNext: readonly PeerId[];
  readonly autoLeave: boolean;
  /** Carried, never looked at. */
  readonly roster?: Roster;
}

export const emptyConfState: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** One entry of the log. The core never looks into `bytes`; a proposal has index and term 0. */
export interface Entry {
  readonly index: RaftIndex;
  readonly term: Term;
  readonly bytes: Uint8Array;
  /** Present when, and only when, this entry changes the configuration. */
  readonly change: ConfChange | undefined;
}

/** The state as of an index, in place of the entries up to it. The core never looks into `data`. */
export interface Snapshot {
  readonly index: RaftIndex;
  readonly term: Term;
  readonly configuration: ConfState;
  readonly data: Uint8Array;
}

/** What must be durable before anything is sent that depends on it. */
export interface HardState {
  readonly term: Term;
  readonly vote: PeerId;
  readonly commit: RaftIndex;
}

/** Worth knowing, not worth keeping. */
export interface SoftState {
  readonly leader: PeerId;
  readonly role: RaftRole;
}

/** A read asked for with `context` sees everything acknowledged before, once `index` is applied. */
export interface ReadState {
  readonly context: number;
  readonly index: RaftIndex;
}

export type MessageType =
  | "propose"
  | "append"
  | "append-response"
  | "vote"
  | "vote-response"
  | "pre-vote"
  | "pre-vote-response"
  | "snapshot"
  | "heartbeat"
  | "heartbeat-response"
  | "transfer-leader"
  | "timeout-now"
  | "read-index"
  | "read-index-response"
  | "storage-append"
  | "storage-append-response"
  | "storage-apply"
  | "storage-apply-response";

/** One message. Every field is always there, so that all messages have one shape for the engine. */
export interface Message {
  readonly type: MessageType;
  readonly from: PeerId;
  readonly to: PeerId;
  /** 0 in the types that no term concerns: propose, read-index, storage-apply and its response. */
  readonly term: Term;
  readonly index: RaftIndex;
  readonly logTerm: Term;
  readonly entries: readonly Entry[];
  readonly commit: RaftIndex;
  readonly vote: PeerId;
  readonly reject: boolean;
  readonly rejectHint: RaftIndex;
  /** A vote: 1 when the leader asked for the election. A heartbeat: the read counter. A read: its context. */
  readonly context: number;
  readonly snapshot: Snapshot | undefined;
  /** Storage messages: what to deliver once the work is done and, for appends, durable. */
  readonly responses: readonly Message[];
}

/** The context of votes asked for on the leader's order: they pierce its lease. */
export const transferContext = 1;

/** Why step() took no notice of an input. */
export type StepRefusal = "proposal-dropped" | "peer-not-found" | "storage-message-from-peer";

const noEntries: readonly Entry[] = [];
const noMessages: readonly Message[] = [];

/** A message with the given fields, everything else empty. */
export function message(type: MessageType, to: PeerId, fields: Partial<Message> = {}): Message {
  return {
    type,
    from: fields.from ?? nobody,
    to,
    term: fields.term ?? 0,
    index: fields.index ?? 0,
    logTerm: fields.logTerm ?? 0,
    entries: fields.entries ?? noEntries,
    commit: fields.commit ?? 0,
    vote: fields.vote ?? nobody,
    reject: fields.reject ?? false,
    rejectHint: fields.rejectHint ?? 0,
    context: fields.context ?? 0,
    snapshot: fields.snapshot,
    responses: fields.responses ?? noMessages,
  };
}

const noBytes = new Uint8Array(0);

/** An entry to propose: the leader gives it its place. */
export function proposal(bytes: Uint8Array = noBytes, change?: ConfChange): Entry {
  return { index: 0, term: 0, bytes, change };
}

/** What an entry weighs in every limit that counts bytes: what it holds and a little for the rest. */
export function entryBytes(entry: Entry): number {
  return entry.bytes.length + 16;
}

/** The longest run from the front that fits in `bytesMax`, but at least one entry. */
export function limitBytes(entries: readonly Entry[], bytesMax: number): readonly Entry[] {
  let sum = 0;
  for (let at = 0; at < entries.length; at++) {
    sum += entryBytes(entries[at] as Entry);
    if (sum > bytesMax) return entries.slice(0, Math.max(at, 1));
  }
  return entries;
}

/** The sum of what the entries hold, without the little for the rest. */
export function payloadBytes(entries: readonly Entry[]): number {
  let sum = 0;
  for (const entry of entries) sum += entry.bytes.length;
  return sum;
}

export function totalBytes(entries: readonly Entry[]): number {
  return payloadBytes(entries) + 16 * entries.length;
}
