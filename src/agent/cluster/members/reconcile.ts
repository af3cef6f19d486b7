/**
 * Decides the next change of the members on the leader: one change, or none. Pure.
 *
 * Gossip only hints at nodes. The peer handshake proves their identity. The configuration says which are members.
 *
 *   a member without the cluster's id ────────→ the leader tells it the id
 *   a member with another name or address ────→ the roster is changed
 *   a member's name with another directory ───→ it was wiped: removed, and the new directory is added as a learner
 *   a new node of no cluster or of this one ──→ a learner, once it knows the cluster's id
 *   a learner that has caught up ─────────────→ a voter
 *
 * A member that failed, is silent, or left gossip stays a member until an operator removes it. A node that has a
 * configuration and is not in this one was removed. Only an operator adds it again. Gossip tags are never trusted.
 *
 * Invariant: one change at a time; after it, the voters that answer are a majority of all voters.
 */

import type { PeerHello } from "../../../peer/mod.ts";
import type { ConfChange, ConfState, Member, PeerId } from "../../../raft/mod.ts";

/** A member's progress in the leader's Raft state. */
export interface MemberProgress {
  /** A message from it arrived within the last election timeout. */
  readonly active: boolean;
  readonly match: number;
}

export interface ReconcileView {
  readonly clusterId: string;
  readonly leader: PeerId;
  readonly lastIndex: number;
  readonly configuration: ConfState;
  readonly progress: ReadonlyMap<PeerId, MemberProgress>;
  /** Fresh handshakes of nodes whose data differs from the configuration. */
  readonly hellos: readonly PeerHello[];
  /** Why a node with a member's data directory is not accepted as that member; undefined if it is. */
  readonly identityProblemOf?: (hello: PeerHello) => string | undefined;
  /** The Raft id of a directory. */
  readonly peerOf: (directory: string) => PeerId;
}

export interface NextStep {
  readonly why: "adopted" | "moved" | "replaced" | "added" | "promoted";
  readonly name: string;
  /** The node that must know the cluster's id before the change. */
  readonly adopt: PeerHello | undefined;
  readonly change: ConfChange | undefined;
}

/** Why a reachable node is not added. */
export interface RefusedNode {
  readonly name: string;
  readonly address: string;
  readonly why: string;
  /** It was a member once, and may have been offline when it was removed. */
  readonly wasRemoved?: true;
}

export interface Reconciled {
  readonly next: NextStep | undefined;
  readonly refused: readonly RefusedNode[];
  /** A change is needed and must wait: check again soon. */
  readonly waiting: boolean;
}

/** A learner at most this many entries behind has caught up: less than a second of writes. */
const caughtUpEntries = 256;

export function reconcile(view: ReconcileView): Reconciled {
  const { configuration } = view;
  const refused: RefusedNode[] = [];
  if (configuration.votersOutgoing.length > 0) return { next: undefined, refused, waiting: true };
  let waiting = false;
  for (const hello of view.hellos) {
    const found = changeFor(view, hello);
    if (found === undefined) continue;
    if (found === "later") waiting = true;
    else if ("change" in found) return { next: found, refused, waiting: true };
    else refused.push(found);
  }
  const promoted = promotion(view);
  return { next: promoted, refused, waiting: waiting || promoted !== undefined || hasLearner(view) };
}

const hasLearner = ({ configuration }: ReconcileView): boolean => configuration.learners.length > 0;

function changeFor(view: ReconcileView, hello: PeerHello): NextStep | RefusedNode | "later" | undefined {
  const members = view.configuration.roster?.members ?? [];
  const refuse = (why: string): RefusedNode => ({ name: hello.name, address: hello.address, why });
  if (hello.clusterId !== undefined && hello.clusterId !== view.clusterId) {
    return refuse(`it belongs to cluster ${hello.clusterId}`);
  }
  const same = members.find(({ directory }) => directory === hello.directory);
  const namesake = members.find(({ name }) => name === hello.name);
  if (same !== undefined) return changeOfKnown(view, same, namesake, hello, refuse);
  if (hello.configured) {
    return { ...refuse("it was removed from this cluster; tailrace add takes it back"), wasRemoved: true };
  }
  const member = memberOf(view, hello);
  if (namesake === undefined) return added(member, hello);
  return replaced(view, namesake, member, hello, refuse);
}

/** A member's directory: its name or address may have changed, or it may lack the cluster's id. */
function changeOfKnown(
  view: ReconcileView,
  known: Member,
  namesake: Member | undefined,
  hello: PeerHello,
  refuse: (why: string) => RefusedNode,
): NextStep | RefusedNode | undefined {
  if (namesake !== undefined && namesake.peer !== known.peer) {
    return refuse("another member of this cluster has its name");
  }
  if (hello.clusterId === undefined) {
    return { why: "adopted", name: hello.name, adopt: hello, change: undefined };
  }
  if (known.name === hello.name && known.address === hello.address) return undefined;
  const problem = view.identityProblemOf?.(hello);
  if (problem !== undefined) return refuse(problem);
  const member = memberOf(view, hello);
  const changes = [{ action: "update", peer: known.peer }] as const;
  return {
    why: "moved",
    name: hello.name,
    change: { transition: "auto", changes, members: [member] },
    adopt: undefined,
  };
}

function added(member: Member, hello: PeerHello): NextStep {
  return {
    why: "added",
    name: hello.name,
    change: {
      transition: "auto",
      changes: [{ action: "learner", peer: member.peer }],
      members: [member],
    },
    adopt: hello,
  };
}

/** A new directory with a member's name: it replaces the member, unless the member is still active. */
function replaced(
  view: ReconcileView,
  old: Member,
  member: Member,
  hello: PeerHello,
  refuse: (why: string) => RefusedNode,
): NextStep | RefusedNode | "later" {
  if (old.peer === view.leader) return refuse("it has the name of this cluster's leader");
  if (view.progress.get(old.peer)?.active === true) return "later";
  const { voters } = view.configuration;
  if (voters.includes(old.peer)) {
    if (voters.length === 1) return refuse("it would take the place of the only voter");
    if (!healthyWithout(view, old.peer)) return "later";
  }
  return {
    why: "replaced",
    name: hello.name,
    change: {
      transition: "auto",
      changes: [
        { action: "remove", peer: old.peer },
        { action: "learner", peer: member.peer },
      ],
      members: [member],
    },
    adopt: hello,
  };
}

/** Why this member cannot be removed now; undefined if it can. */
export function whyNotRemove(view: QuorumView, peer: PeerId): string | undefined {
  const { voters, votersOutgoing } = view.configuration;
  if (votersOutgoing.length > 0) return "another change of the members is under way";
  if (!voters.includes(peer)) return undefined;
  if (voters.length === 1) return "it is the only voter";
  if (healthyWithout(view, peer)) return undefined;
  const rest = voters.length - 1;
  return `of the ${rest} voters that would be left, too few answer for a majority`;
}

/** The step that makes a learner a voter, if one has caught up. */
function promotion(view: ReconcileView): NextStep | undefined {
  const { learners, roster } = view.configuration;
  for (const peer of learners) {
    const progress = view.progress.get(peer);
    const member = roster?.members.find((one) => one.peer === peer);
    if (progress?.active !== true || member === undefined) continue;
    if (view.lastIndex - progress.match > caughtUpEntries || !healthyWith(view, peer)) continue;
    const changes = [{ action: "voter", peer }] as const;
    return {
      why: "promoted",
      name: member.name,
      change: { transition: "auto", changes, members: [member] },
      adopt: undefined,
    };
  }
  return undefined;
}

function memberOf({ peerOf }: ReconcileView, { name, directory, address }: PeerHello): Member {
  return { peer: peerOf(directory), name, directory, address };
}

type QuorumView = Pick<ReconcileView, "configuration" | "leader" | "progress">;

/** Would the active voters be a majority without this one? */
function healthyWithout(view: QuorumView, peer: PeerId): boolean {
  const rest = view.configuration.voters.filter((voter) => voter !== peer);
  return rest.length > 0 && isMajority(active(view, rest), rest.length);
}

/** Would the active voters be a majority with this additional one? */
function healthyWith(view: QuorumView, peer: PeerId): boolean {
  const all = [...view.configuration.voters, peer];
  return isMajority(active(view, all), all.length);
}

const active = ({ leader, progress }: QuorumView, peers: readonly PeerId[]): number =>
  peers.filter((peer) => peer === leader || progress.get(peer)?.active === true).length;

const isMajority = (count: number, of: number): boolean => count * 2 > of;
