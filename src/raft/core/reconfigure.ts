/** Applies a change of configuration. leader.ts decides whether one may be proposed. */
import { allPeers, type Configuration, type ConfRefusal, changed, fromConfState } from "./configuration.ts";
import { becomeFollower } from "./election.ts";
import type { Raft } from "./raft.ts";
import { broadcastAppend, maybeCommit, probeAll } from "./replication.ts";
import { type ConfChange, emptyConfState, noPeer } from "./types.ts";

/** Applies a committed change. A refusal changes nothing, and is the same on every node, as it depends on the log alone. */
export function reconfigure(raft: Raft, change: ConfChange): ConfRefusal | undefined {
  const { configuration } = raft.tracker;
  const joining = change.base !== undefined && allPeers(configuration).length === 0;
  const next = changed(joining ? fromConfState(change.base ?? emptyConfState) : configuration, change);
  if (typeof next === "string") return next;
  switchTo(raft, next);
  return undefined;
}

function switchTo(raft: Raft, next: Configuration): void {
  raft.tracker.switchTo(next, raft.log.lastIndex);
  raft.emit({ kind: "configuration-switched", configuration: next });
  if (raft.role === "follower") return;
  const own = raft.tracker.progress.get(raft.id);
  if (own === undefined || own.learner) {
    // Votes that are still in flight must not elect a removed node.
    const ends = raft.role !== "leader" || raft.config.stepDownOnRemoval === true;
    if (ends) becomeFollower(raft, raft.term, noPeer);
    return;
  }
  if (raft.role !== "leader") return;
  if (next.incoming.size === 0) return;
  // The quorum may be smaller now, so that more is committed. If not, the new peers are probed at once, not at the next
  // heartbeat.
  if (maybeCommit(raft)) broadcastAppend(raft);
  else probeAll(raft);
  if (raft.transferee !== noPeer && !raft.tracker.isVoter(raft.transferee)) raft.transferee = noPeer;
}
