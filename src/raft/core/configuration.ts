/**
 * A configuration: its voters and learners, and the rules by which one becomes another. Configurations are not changed in
 * place.
 *
 * One voter may change directly, since the majorities before and after overlap. A larger change goes through a joint
 * configuration, in which both majorities must agree until it is left.
 *
 *   voter of the outgoing half demoted to learner → learnersNext, and learner only once the joint one is left
 */
import type { Voters } from "./quorum.ts";
import type { ConfChange, ConfState, PeerChange, PeerId } from "./types.ts";

/** Invariant: learners and voters are disjoint; learnersNext is a part of the outgoing voters. */
export interface Configuration extends Voters {
  readonly learners: ReadonlySet<PeerId>;
  readonly learnersNext: ReadonlySet<PeerId>;
  /** The joint configuration is left by itself. */
  readonly autoLeave: boolean;
}

/** Why a change cannot be made. */
export type ConfRefusal =
  | "already-joint"
  | "not-joint"
  | "zero-voters-joint"
  | "simple-in-joint"
  | "more-than-one-voter"
  | "all-voters-removed";

export const emptyConfiguration: Configuration = {
  incoming: new Set(),
  outgoing: new Set(),
  learners: new Set(),
  learnersNext: new Set(),
  autoLeave: false,
};

export const isJoint = (configuration: Voters): boolean => configuration.outgoing.size > 0;

const sorted = (peers: Iterable<PeerId>): PeerId[] => [...peers].sort((a, b) => a - b);

/** The voters of both halves, in ascending order. */
export function allVoters(voters: Voters): PeerId[] {
  return sorted(new Set([...voters.incoming, ...voters.outgoing]));
}

/** All peers, in ascending order. */
export function allPeers(configuration: Configuration): PeerId[] {
  return sorted(new Set([...configuration.incoming, ...configuration.outgoing, ...configuration.learners]));
}

export function toConfState(configuration: Configuration): ConfState {
  return {
    voters: sorted(configuration.incoming),
    votersOutgoing: sorted(configuration.outgoing),
    learners: sorted(configuration.learners),
    learnersNext: sorted(configuration.learnersNext),
    autoLeave: configuration.autoLeave,
  };
}

export function fromConfState(state: ConfState): Configuration {
  return {
    incoming: new Set(state.voters),
    outgoing: new Set(state.votersOutgoing),
    learners: new Set(state.learners),
    learnersNext: new Set(state.learnersNext),
    autoLeave: state.autoLeave,
  };
}

/** Whether this change goes through a joint configuration, and whether that is left by itself. */
function jointness(change: ConfChange): "simple" | "joint" | "joint-auto-leave" | "leave" {
  if (change.transition === "explicit") return "joint";
  if (change.transition === "implicit") return "joint-auto-leave";
  if (change.changes.length === 0) return "leave";
  return change.changes.length > 1 ? "joint-auto-leave" : "simple";
}

/** The configuration after a change, according to its `transition`. */
export function changed(before: Configuration, change: ConfChange): Configuration | ConfRefusal {
  const how = jointness(change);
  if (how === "leave") return leaveJoint(before);
  if (how === "simple") return simple(before, change.changes);
  return enterJoint(before, how === "joint-auto-leave", change.changes);
}

/** The configuration after at most one voter has changed. */
export function simple(before: Configuration, changes: readonly PeerChange[]): Configuration | ConfRefusal {
  if (isJoint(before)) return "simple-in-joint";
  const after = apply(before, changes);
  if (after.incoming.size === 0) return "all-voters-removed";
  let different = 0;
  for (const peer of before.incoming) if (!after.incoming.has(peer)) different++;
  for (const peer of after.incoming) if (!before.incoming.has(peer)) different++;
  return different > 1 ? "more-than-one-voter" : after;
}

/** The joint configuration of the present and the next one. */
export function enterJoint(
  before: Configuration,
  autoLeave: boolean,
  changes: readonly PeerChange[],
): Configuration | ConfRefusal {
  if (isJoint(before)) return "already-joint";
  if (before.incoming.size === 0) return "zero-voters-joint";
  const after = apply({ ...before, outgoing: before.incoming, autoLeave }, changes);
  return after.incoming.size === 0 ? "all-voters-removed" : after;
}

/** The configuration after the outgoing half is left. */
export function leaveJoint(before: Configuration): Configuration | ConfRefusal {
  if (!isJoint(before)) return "not-joint";
  return {
    incoming: before.incoming,
    outgoing: new Set(),
    learners: new Set([...before.learners, ...before.learnersNext]),
    learnersNext: new Set(),
    autoLeave: false,
  };
}

function apply(before: Configuration, changes: readonly PeerChange[]): Configuration {
  const incoming = new Set(before.incoming);
  const learners = new Set(before.learners);
  const learnersNext = new Set(before.learnersNext);
  for (const { action, peer } of changes) {
    if (peer === 0 || action === "update") continue;
    const wasLearner = learners.has(peer);
    if (action === "learner" && wasLearner) continue;
    incoming.delete(peer);
    learners.delete(peer);
    learnersNext.delete(peer);
    if (action === "voter") incoming.add(peer);
    else if (action === "learner") (before.outgoing.has(peer) ? learnersNext : learners).add(peer);
  }
  return { ...before, incoming, learners, learnersNext };
}
