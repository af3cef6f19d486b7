/**
 * The entrance for messages and ticks: first the terms are compared, then the role handles the message.
 */
import {
  answerRefusal,
  answerVote,
  becomeFollower,
  countVote,
  hup,
  refuseVote,
  sendCommit,
} from "./election.ts";
import { handleFromLeader, stepFollower } from "./follower.ts";
import { checkQuorum, maybeAutoLeave, stepLeader } from "./leader.ts";
import type { Raft } from "./raft.ts";
import { broadcastHeartbeat } from "./replication.ts";
import {
  type Entry,
  type Message,
  message,
  noPeer,
  payloadBytes,
  type RaftIndex,
  type StepRefusal,
  totalBytes,
  transferContext,
} from "./types.ts";

const fromLeader: ReadonlySet<string> = new Set(["append", "heartbeat", "snapshot"]);

export function step(raft: Raft, received: Message): StepRefusal | undefined {
  answerRefusal(raft, received);
  if (received.term > raft.term) {
    if (!meetHigherTerm(raft, received)) return undefined;
  } else if (received.term !== 0 && received.term < raft.term) {
    meetLowerTerm(raft, received);
    return undefined;
  }
  switch (received.type) {
    case "storage-append-response":
      if (received.index !== 0) raft.log.stableTo(received.index, received.logTerm);
      if (received.snapshot !== undefined) snapshotApplied(raft, received.snapshot.index);
      return undefined;
    case "storage-apply-response":
      entriesApplied(raft, received.entries);
      return undefined;
    case "vote":
    case "pre-vote":
      answerVote(raft, received);
      return undefined;
    case "vote-response":
    case "pre-vote-response":
      // If this log has the same entry, it is committed here, too.
      if (received.commit > 0) {
        raft.log.maybeCommit(received.commit, received.logTerm);
        // Term 0: it answers no request and is not a vote.
        if (received.term === 0) return undefined;
      }
      break;
    default:
  }
  if (raft.role === "leader") return stepLeader(raft, received);
  return raft.role === "follower" ? stepFollower(raft, received) : stepCandidate(raft, received);
}

/** Enters the higher term, if the message requires it; false if the message is to be ignored. */
function meetHigherTerm(raft: Raft, received: Message): boolean {
  const { type, from, term } = received;
  if ((type === "vote" || type === "pre-vote") && received.context !== transferContext) {
    const leased =
      raft.config.checkQuorum === true &&
      raft.leader !== noPeer &&
      raft.electionElapsed < raft.config.electionTicks;
    if (leased) {
      raft.emit({
        kind: "vote-ignored",
        last: { index: raft.log.lastIndex, term: raft.log.lastTerm },
        vote: raft.vote,
        request: received,
        term: raft.term,
        remainingTicks: raft.config.electionTicks - raft.electionElapsed,
      });
      return false;
    }
  }
  // A pre-vote is requested, and granted, in a term that no node has entered yet.
  if (type === "pre-vote" || (type === "pre-vote-response" && !received.reject)) return true;
  raft.emit({ kind: "higher-term-seen", term: raft.term, message: received });
  becomeFollower(raft, term, fromLeader.has(type) ? from : noPeer);
  return true;
}

function meetLowerTerm(raft: Raft, received: Message): void {
  const { type, from } = received;
  const asksFirst = raft.config.checkQuorum === true || raft.config.preVote === true;
  if (asksFirst && (type === "heartbeat" || type === "append")) {
    // The old leader may be the only one, and may ignore this node's requests for votes. The answer makes it step down.
    raft.send(message("append-response", from, { from: raft.id, term: raft.term }));
  } else if (type === "pre-vote") {
    raft.emit({
      kind: "vote-refused",
      last: { index: raft.log.lastIndex, term: raft.log.lastTerm },
      vote: raft.vote,
      request: received,
      term: raft.term,
      remainingTicks: 0,
    });
    refuseVote(raft, "pre-vote-response", from);
  } else if (type === "storage-append-response") {
    // The written entries may have been replaced since, even by the same entry at the same index. So a write of a past term
    // says nothing about the log. A snapshot is never replaced by older entries.
    if (received.index !== 0)
      raft.emit({ kind: "stale-storage-response", term: raft.term, message: received });
    if (received.snapshot !== undefined) snapshotApplied(raft, received.snapshot.index);
  } else {
    raft.emit({ kind: "lower-term-ignored", term: raft.term, message: received });
  }
}

function stepCandidate(raft: Raft, received: Message): StepRefusal | undefined {
  switch (received.type) {
    case "propose":
      raft.emit({ kind: "proposal-dropped", why: "no-leader", term: raft.term, peer: noPeer });
      return "proposal-dropped";
    case "append":
    case "heartbeat":
    case "snapshot":
      becomeFollower(raft, received.term, received.from);
      handleFromLeader(raft, received);
      break;
    case "vote-response":
      if (raft.role === "candidate") countVote(raft, received);
      break;
    case "pre-vote-response":
      if (raft.role === "pre-candidate") countVote(raft, received);
      break;
    case "timeout-now":
      raft.emit({ kind: "timeout-now-ignored", peer: received.from, term: raft.term });
      break;
    default:
  }
  return undefined;
}

function snapshotApplied(raft: Raft, index: RaftIndex): void {
  raft.log.stableSnapshotTo(index);
  appliedTo(raft, index, 0);
}

function entriesApplied(raft: Raft, entries: readonly Entry[]): void {
  const last = entries.at(-1);
  if (last === undefined) return;
  appliedTo(raft, last.index, totalBytes(entries));
  // Entries of this node's earlier terms may be counted here, too.
  raft.uncommittedBytes = Math.max(0, raft.uncommittedBytes - payloadBytes(entries));
}

function appliedTo(raft: Raft, index: RaftIndex, bytes: number): void {
  raft.log.appliedTo(Math.max(index, raft.log.applied), bytes);
  maybeAutoLeave(raft);
}

export function tick(raft: Raft): void {
  raft.electionElapsed++;
  if (raft.role !== "leader") {
    if (raft.electionElapsed < raft.electionTimeout) return;
    if (raft.promotable) {
      raft.electionElapsed = 0;
      hup(raft, false);
    } else if (raft.leader === noPeer && raft.config.commitByVote === true) {
      raft.electionElapsed = 0;
      sendCommit(raft);
    }
    return;
  }
  raft.heartbeatElapsed++;
  if (raft.electionElapsed >= raft.config.electionTicks) {
    raft.electionElapsed = 0;
    if (raft.config.checkQuorum === true) checkQuorum(raft);
    if (raft.role !== "leader") return;
    if (raft.transferee !== noPeer) {
      raft.emit({ kind: "transfer-aborted", peer: raft.transferee, term: raft.term });
      raft.transferee = noPeer;
    }
    // It may have been refused, and without entries to apply nothing else would try it again.
    maybeAutoLeave(raft);
  }
  if (raft.heartbeatElapsed >= raft.config.heartbeatTicks) {
    raft.heartbeatElapsed = 0;
    broadcastHeartbeat(raft);
  }
}
