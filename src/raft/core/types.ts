/**
 * The data of the Raft core: entries, messages, configurations and durable state. The names are the Raft papers'.
 *
 * A peer is a whole number from 1; 0 is no peer. The driver knows its node's name. A number is never used for another node.
 */
import type { NodeId, RaftIndex, Term } from "../../types.ts";

export type { RaftIndex, Term } from "../../types.ts";

/** A member's number, from 1. */
export type PeerId = number;
/** No peer: no vote, no leader. */
export const noPeer: PeerId = 0;
/** Addressees and senders of storage messages, instead of a peer. */
export const appendThread: PeerId = -1;
export const applyThread: PeerId = -2;

/** A node's role in its term. A learner has the role of a follower. */
export type RaftRole = "follower" | "pre-candidate" | "candidate" | "leader";

/** The change of one peer. `update` changes nothing in Raft. Peer 0 is ignored. */
export interface PeerChange {
  readonly action: "voter" | "learner" | "remove" | "update";
  readonly peer: PeerId;
}

/**
 * A change of configuration. An empty list of changes leaves the joint configuration.
 * `auto` uses a joint configuration only for more than one change, and leaves it by itself. `implicit` always uses one and
 * leaves it by itself. `explicit` always uses one and leaves it only by another change.
 */
export interface ConfChange {
  readonly transition: "auto" | "implicit" | "explicit";
  readonly changes: readonly PeerChange[];
  /** New members, and members with a new address. The core carries them and does not read them. */
  readonly members?: readonly Member[];
  /**
   * The configuration that this changes. A node that has none, because it joins and replays the log from its start, takes
   * it from here: no entry holds the first configuration of a cluster.
   */
  readonly base?: ConfState;
}

/** A peer's name, directory and address. */
export interface Member {
  readonly peer: PeerId;
  readonly name: NodeId;
  /** The identity of its data directory. An empty directory in its place is another peer. */
  readonly directory: string;
  readonly address: string;
}

/** All peers, and the lowest number that was never used. */
export interface Roster {
  readonly members: readonly Member[];
  readonly nextPeer: PeerId;
}

/** Voters and learners, as kept in snapshots. Lists are sorted. */
export interface ConfState {
  readonly voters: readonly PeerId[];
  /** The voters of the configuration being left; empty unless joint. */
  readonly votersOutgoing: readonly PeerId[];
  readonly learners: readonly PeerId[];
  /** Voters of the outgoing configuration that become learners once it is left. */
  readonly learnersNext: readonly PeerId[];
  readonly autoLeave: boolean;
  /** The core carries it and does not read it. */
  readonly roster?: Roster;
}

export const emptyConfState: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** One entry of the log. The core does not read `bytes`. A proposal has index and term 0. */
export interface Entry {
  readonly index: RaftIndex;
  readonly term: Term;
  readonly bytes: Uint8Array;
  /** Present when, and only when, this entry changes the configuration. */
  readonly change: ConfChange | undefined;
}

/** The state as of an index, in place of the entries up to it. The core does not read `data`. */
export interface Snapshot {
  readonly index: RaftIndex;
  readonly term: Term;
  readonly configuration: ConfState;
  readonly data: Uint8Array;
}

/** State that must be durable before a message is sent that depends on it. */
export interface HardState {
  readonly term: Term;
  readonly vote: PeerId;
  readonly commit: RaftIndex;
}

/** State that is not kept. */
export interface SoftState {
  readonly leader: PeerId;
  readonly role: RaftRole;
}

/** A read requested with `context` sees everything acknowledged before it, once `index` is applied. */
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

/** One message. Every field is always present, so that all messages have one shape in V8. */
export interface Message {
  readonly type: MessageType;
  readonly from: PeerId;
  readonly to: PeerId;
  /** 0 in the types without a term: propose, read-index, storage-apply and its response. */
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
  /** Storage messages: messages to deliver once the work is done and, for appends, durable. */
  readonly responses: readonly Message[];
}

/** The context of votes requested because the leader transfers: its lease does not block them. */
export const transferContext = 1;

/** Why step() ignored an input. */
export type StepRefusal = "proposal-dropped" | "peer-not-found" | "storage-message-from-peer";

const noEntries: readonly Entry[] = [];
const noMessages: readonly Message[] = [];

/** A message with the given fields, everything else empty. */
export function message(type: MessageType, to: PeerId, fields: Partial<Message> = {}): Message {
  return {
    type,
    from: fields.from ?? noPeer,
    to,
    term: fields.term ?? 0,
    index: fields.index ?? 0,
    logTerm: fields.logTerm ?? 0,
    entries: fields.entries ?? noEntries,
    commit: fields.commit ?? 0,
    vote: fields.vote ?? noPeer,
    reject: fields.reject ?? false,
    rejectHint: fields.rejectHint ?? 0,
    context: fields.context ?? 0,
    snapshot: fields.snapshot,
    responses: fields.responses ?? noMessages,
  };
}

const noBytes = new Uint8Array(0);

/** An entry to propose. The leader gives it its index and term. */
export function proposal(bytes: Uint8Array = noBytes, change?: ConfChange): Entry {
  return { index: 0, term: 0, bytes, change };
}

/** The size of an entry in limits of bytes: its payload and 16 bytes for the rest. */
export function entryBytes(entry: Entry): number {
  return entry.bytes.length + 16;
}

/** The longest run from the front within `bytesMax`, but at least one entry. */
export function limitBytes(entries: readonly Entry[], bytesMax: number): readonly Entry[] {
  let sum = 0;
  for (let at = 0; at < entries.length; at++) {
    sum += entryBytes(entries[at] as Entry);
    if (sum > bytesMax) return entries.slice(0, Math.max(at, 1));
  }
  return entries;
}

/** The payload of the entries, in bytes. */
export function payloadBytes(entries: readonly Entry[]): number {
  let sum = 0;
  for (const entry of entries) sum += entry.bytes.length;
  return sum;
}

export function totalBytes(entries: readonly Entry[]): number {
  return payloadBytes(entries) + 16 * entries.length;
}
