/** What a driver reports to its core about connections, snapshots and peers. */

import type { Progress } from "./progress.ts";
import type { Raft } from "./raft.ts";
import { noPeer, type PeerId } from "./types.ts";

/** Elections that may follow soon after a split vote, once the leader's process is known to be gone. */
const hastyElections = 5;

/** The progress of a peer; undefined on a node that does not lead. */
export function progressOf(raft: Raft, peer: PeerId): Progress | undefined {
  return raft.role === "leader" ? raft.tracker.progress.get(peer) : undefined;
}

/** See Core.forgetLeader. */
export function forgetLeader(raft: Raft): void {
  if (raft.role !== "follower") return;
  if (raft.config.reads === "lease") {
    raft.emit({ kind: "forget-refused" });
  } else if (raft.leader !== noPeer) {
    raft.emit({ kind: "leader-forgotten", leader: raft.leader, term: raft.term });
    raft.leader = noPeer;
  }
}

/** See Core.leaderConnectionLost. */
export function leaderConnectionLost(raft: Raft, leader: PeerId): void {
  const { preVote, reads, random, connectionLostTicks } = raft.config;
  if (raft.role !== "follower" || raft.leader !== leader || leader === noPeer) return;
  if (preVote !== true || reads === "lease") return;
  raft.emit({ kind: "leader-connection-lost", leader, term: raft.term });
  raft.leader = noPeer;
  raft.hasteLeft = hastyElections;
  raft.electionTimeout = raft.electionElapsed + random.between(1, connectionLostTicks ?? 5);
}

/** See Core.reportUnreachable. */
export function reportUnreachable(raft: Raft, peer: PeerId): void {
  const progress = progressOf(raft, peer);
  if (progress === undefined) return;
  if (progress.state === "replicate") progress.becomeProbe();
  raft.emit({ kind: "unreachable", peer, progress });
}

/** See Core.reportSnapshot. */
export function reportSnapshot(raft: Raft, peer: PeerId, delivered: boolean): void {
  const progress = progressOf(raft, peer);
  if (progress?.state !== "snapshot") return;
  if (!delivered) progress.pendingSnapshot = 0;
  progress.becomeProbe();
  raft.emit({ kind: delivered ? "snapshot-delivered" : "snapshot-failed", peer, progress });
  // After a delivery the leader waits for the peer's answer, after a failure for a heartbeat's answer.
  progress.paused = true;
}

/** See Core.forgetProgress. */
export function forgetProgress(raft: Raft, peer: PeerId): void {
  if (peer !== raft.id) progressOf(raft, peer)?.forget(raft.log.lastIndex);
}
