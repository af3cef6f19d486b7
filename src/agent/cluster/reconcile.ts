/**
 * What a leader does next about its members: one change, or nothing. Pure.
 *
 *   gossip says who may be there (a hint), the peer handshake who is, the configuration who belongs
 *
 *   a member without the cluster's id ──→ it is told
 *   a member has another name, address ─→ they are changed
 *   a member's directory is another ────→ it was wiped: out it goes, and its new directory is a learner
 *   somebody new, of no cluster or ours ─→ a learner, once it was told the cluster's id
 *   a learner that has caught up ───────→ a voter
 *
 * Failed, silent, left or forgotten by gossip is no reason for anything: whoever belongs is kept until somebody says
 * otherwise. Whoever has a configuration and is not in ours was removed from it, and is only taken back when told to.
 *
 * Invariant: one change at a time; after it, the voters that answer are a majority of all voters.
 *
 * Never: trusts a tag; removes a member for being away.
 */

import type { PeerHello } from "../../peer/mod.ts";
import type { ConfChange, ConfState, Member, PeerId } from "../../raft/mod.ts";

/** How far a member is, as the leader sees it. */
export interface MemberProgress {
  /** Something was heard of it within the last election timeout. */
  readonly active: boolean;
  readonly match: number;
}

export interface ReconcileView {
  readonly clusterId: string;
  readonly leader: PeerId;
  readonly lastIndex: number;
  readonly configuration: ConfState;
  readonly progress: ReadonlyMap<PeerId, MemberProgress>;
  /** What was said in handshakes, a moment ago, by whoever is not known as it is. */
  readonly hellos: readonly PeerHello[];
  /** Why a node is not followed as the member whose data directory it has, if so. */
  readonly doubts?: (hello: PeerHello) => string | undefined;
  /** The number a directory has in Raft. */
  readonly peerOf: (directory: string) => PeerId;
}

export interface NextStep {
  readonly why: "adopted" | "moved" | "replaced" | "added" | "promoted";
  readonly name: string;
  /** Who must know the cluster's id before anything is changed. */
  readonly adopt: PeerHello | undefined;
  readonly change: ConfChange | undefined;
}

/** Why somebody who is there is not taken in. */
export interface Refusal {
  readonly name: string;
  readonly address: string;
  readonly why: string;
  /** It belonged here once, and may have been away when it was taken out. */
  readonly wasRemoved?: true;
}

export interface Reconciled {
  readonly next: NextStep | undefined;
  readonly refused: readonly Refusal[];
  /** There is something to do, and it must wait: look again soon. */
  readonly waiting: boolean;
}

/** A learner this many entries behind has caught up: that is less than a second's worth. */
const caughtUpEntries = 256;

export function reconcile(view: ReconcileView): Reconciled {
  const { configuration } = view;
  const refused: Refusal[] = [];
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

function changeFor(view: ReconcileView, hello: PeerHello): NextStep | Refusal | "later" | undefined {
  const members = view.configuration.roster?.members ?? [];
  const refuse = (why: string): Refusal => ({ name: hello.name, address: hello.address, why });
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

/** A directory that belongs already: has its name or address changed, and does it know where it belongs? */
function changeOfKnown(
  view: ReconcileView,
  known: Member,
  namesake: Member | undefined,
  hello: PeerHello,
  refuse: (why: string) => Refusal,
): NextStep | Refusal | undefined {
  if (namesake !== undefined && namesake.peer !== known.peer) {
    return refuse("another member of this cluster has its name");
  }
  if (hello.clusterId === undefined) {
    return { why: "adopted", name: hello.name, adopt: hello, change: undefined };
  }
  if (known.name === hello.name && known.address === hello.address) return undefined;
  const doubts = view.doubts?.(hello);
  if (doubts !== undefined) return refuse(doubts);
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

/** An empty directory under a member's name: the member is gone for good, unless it is heard of. */
function replaced(
  view: ReconcileView,
  old: Member,
  member: Member,
  hello: PeerHello,
  refuse: (why: string) => Refusal,
): NextStep | Refusal | "later" {
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

/** May this voter be taken out now? Answers why not. */
export function whyNotRemove(view: Quorate, peer: PeerId): string | undefined {
  const { voters, votersOutgoing } = view.configuration;
  if (votersOutgoing.length > 0) return "another change of the members is under way";
  if (!voters.includes(peer)) return undefined;
  if (voters.length === 1) return "it is the only voter";
  if (healthyWithout(view, peer)) return undefined;
  const rest = voters.length - 1;
  return `of the ${rest} voters that would be left, too few answer for a majority`;
}

/** The learner that is to become a voter now. */
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

type Quorate = Pick<ReconcileView, "configuration" | "leader" | "progress">;

/** Would the voters that answer be a majority without this one? */
function healthyWithout(view: Quorate, peer: PeerId): boolean {
  const rest = view.configuration.voters.filter((voter) => voter !== peer);
  return rest.length > 0 && isMajority(active(view, rest), rest.length);
}

/** And with this one more? */
function healthyWith(view: Quorate, peer: PeerId): boolean {
  const all = [...view.configuration.voters, peer];
  return isMajority(active(view, all), all.length);
}

const active = ({ leader, progress }: Quorate, peers: readonly PeerId[]): number =>
  peers.filter((peer) => peer === leader || progress.get(peer)?.active === true).length;

const isMajority = (count: number, of: number): boolean => count * 2 > of;
