/** A leader's handling of proposals, acknowledgments, heartbeat answers, transfers and reads. */
import { type Configuration, isJoint } from "./configuration.ts";
import { becomeFollower } from "./election.ts";
import type { ConfChangeProblem } from "./events.ts";
import type { Progress } from "./progress.ts";
import type { Raft } from "./raft.ts";
import { appendOwn, broadcastAppend, broadcastHeartbeat, maybeCommit, sendAppend } from "./replication.ts";
import {
  type ConfChange,
  type Entry,
  type Message,
  message,
  noPeer,
  type PeerId,
  type RaftIndex,
  type StepRefusal,
} from "./types.ts";

export function stepLeader(raft: Raft, received: Message): StepRefusal | undefined {
  if (received.type === "propose") return propose(raft, received.entries);
  if (received.type === "read-index") {
    readIndex(raft, received);
    return undefined;
  }
  if (received.type === "append" || received.type === "heartbeat" || received.type === "snapshot") {
    raft.emit({ kind: "peer-fault", why: "second-leader", message: received });
    return undefined;
  }
  const progress = raft.tracker.progress.get(received.from);
  if (progress === undefined) {
    raft.emit({ kind: "no-progress", peer: received.from });
    return undefined;
  }
  if (received.type === "append-response") onAppendResponse(raft, received, progress);
  else if (received.type === "heartbeat-response") onHeartbeatResponse(raft, received, progress);
  else if (received.type === "transfer-leader") transfer(raft, received.from, progress);
  return undefined;
}

/** Steps down unless a quorum has answered since the last call. */
export function checkQuorum(raft: Raft): void {
  if (!raft.tracker.quorumActive()) {
    raft.emit({ kind: "quorum-lost" });
    becomeFollower(raft, raft.term, noPeer);
  }
  for (const [peer, progress] of raft.tracker.progress) if (peer !== raft.id) progress.active = false;
}

function propose(raft: Raft, proposed: readonly Entry[]): StepRefusal | undefined {
  // Removed from the configuration, but still leader: its new entries might never be committed.
  if (!raft.tracker.progress.has(raft.id)) return "proposal-dropped";
  if (raft.transferee !== noPeer) {
    raft.emit({ kind: "proposal-dropped", why: "transferring", term: raft.term, peer: raft.transferee });
    return "proposal-dropped";
  }
  const entries = proposed.some((entry) => entry.change !== undefined)
    ? proposed.map((entry, at) => admitted(raft, entry, raft.log.lastIndex + 1 + at))
    : proposed;
  if (!appendOwn(raft, entries)) return "proposal-dropped";
  broadcastAppend(raft);
  return undefined;
}

/** The entry itself, or an empty one in the place of a change that the configuration does not allow. */
function admitted(raft: Raft, entry: Entry, index: RaftIndex): Entry {
  if (entry.change === undefined) return entry;
  const problem = changeProblem(raft, entry.change);
  if (problem !== undefined && raft.config.disableConfChangeValidation !== true) {
    const { configuration } = raft.tracker;
    raft.emit({ kind: "change-refused", change: entry.change, configuration, problem });
    return raft.ownProposal();
  }
  raft.pendingConfIndex = index;
  return entry;
}

/** One change at a time, and only one that the configuration allows. */
function changeProblem(raft: Raft, change: ConfChange): ConfChangeProblem | undefined {
  const { applied } = raft.log;
  if (raft.pendingConfIndex > applied) {
    return { why: "pending", pendingIndex: raft.pendingConfIndex, applied };
  }
  const joint = isJoint(raft.tracker.configuration);
  const leaves = change.changes.length === 0;
  if (joint && !leaves) return { why: "must-leave-joint" };
  return !joint && leaves ? { why: "not-joint" } : undefined;
}

/** Leaves a joint configuration with `autoLeave`, once the change that entered it is applied. */
export function maybeAutoLeave(raft: Raft): void {
  const configuration: Configuration = raft.tracker.configuration;
  if (raft.role !== "leader" || !configuration.autoLeave || raft.log.applied < raft.pendingConfIndex) return;
  // Refused during a transfer of leadership. It is tried again at the next applied entry, or by the new leader.
  const refused = propose(raft, [raft.ownProposal({ transition: "auto", changes: [] })]);
  raft.emit({ kind: refused === undefined ? "auto-leave-started" : "auto-leave-postponed", configuration });
}

function onAppendResponse(raft: Raft, received: Message, progress: Progress): void {
  const { from, index } = received;
  if (received.reject && received.commit > received.rejectHint) {
    // The follower lost acknowledged entries: from now on only new acknowledgments count.
    raft.emit({ kind: "peer-fault", why: "acknowledged-missing", message: received });
    progress.forget(raft.log.lastIndex);
    return;
  }
  if (!received.reject && index > raft.log.lastIndex) {
    raft.emit({ kind: "peer-fault", why: "acknowledged-beyond-end", message: received });
    return;
  }
  progress.active = true;
  if (received.reject) {
    onRefusal(raft, received, progress);
    return;
  }
  // A probed peer that confirms its known match has recovered, too.
  const known = progress.match === index && progress.state === "probe";
  if (!progress.acknowledged(index) && !known) return;
  if (progress.state === "probe") {
    progress.becomeReplicate();
  } else if (progress.state === "replicate") {
    progress.inflights.freeTo(index);
  } else if (progress.match + 1 >= raft.log.firstIndex) {
    // Another leader's snapshot may have brought it here. It is enough that the log continues from here.
    raft.emit({ kind: "recovered-from-snapshot", peer: from, progress });
    progress.becomeProbe();
    progress.becomeReplicate();
  }
  if (maybeCommit(raft)) {
    releaseEarlyReads(raft);
    broadcastAppend(raft);
  } else if (from !== raft.id && progress.canRaiseCommit(raft.log.committed)) {
    sendAppend(raft, from);
  }
  // The window may allow more appends.
  if (from !== raft.id) while (sendAppend(raft, from, false));
  if (from === raft.transferee && progress.match === raft.log.lastIndex) {
    raft.emit({ kind: "timeout-now-sent", peer: from, term: raft.term });
    sendTimeoutNow(raft, from);
  }
}

function onRefusal(raft: Raft, received: Message, progress: Progress): void {
  const { from, index, rejectHint, logTerm } = received;
  raft.emit({ kind: "refusal-received", message: received });
  // The peer has `logTerm` at the hint. Entries of later terms in this log cannot match there either.
  const hint = logTerm > 0 ? raft.log.conflictByTerm(rejectHint, logTerm).index : rejectHint;
  if (!progress.refused(index, hint)) return;
  raft.emit({ kind: "progress-decreased", peer: from, progress });
  if (progress.state === "replicate") progress.becomeProbe();
  sendAppend(raft, from);
}

function onHeartbeatResponse(raft: Raft, received: Message, progress: Progress): void {
  progress.active = true;
  progress.paused = false;
  // An empty append finds out whether earlier appends arrived.
  if (progress.match < raft.log.lastIndex || progress.state === "probe") sendAppend(raft, received.from);
  if (received.context === 0) return;
  for (const read of raft.reads.echoed(received.from, received.context, raft.tracker.configuration)) {
    answerRead(raft, read.from, read.context, read.index);
  }
}

function transfer(raft: Raft, to: PeerId, progress: Progress): void {
  const term = raft.term;
  if (progress.learner) {
    raft.emit({ kind: "transfer-to-learner", peer: to, term });
    return;
  }
  if (raft.transferee === to) {
    raft.emit({ kind: "transfer-repeated", peer: to, term });
    return;
  }
  if (raft.transferee !== noPeer) {
    raft.emit({ kind: "transfer-replaced", peer: raft.transferee, term });
    raft.transferee = noPeer;
  }
  if (to === raft.id) {
    raft.emit({ kind: "transfer-to-self", peer: to, term });
    return;
  }
  raft.emit({ kind: "transfer-started", peer: to, term });
  // It must end within one election timeout from now.
  raft.electionElapsed = 0;
  raft.transferee = to;
  if (progress.match === raft.log.lastIndex) {
    sendTimeoutNow(raft, to);
    raft.emit({ kind: "timeout-now-sent-at-once", peer: to, term });
  } else sendAppend(raft, to);
}

function sendTimeoutNow(raft: Raft, to: PeerId): void {
  raft.send(message("timeout-now", to, { from: raft.id, term: raft.term }));
}

/** Unconfirmed read requests of all nodes together. A node repeats a request that got no response. */
const readRequestsMax = 4_096;

function readIndex(raft: Raft, received: Message): void {
  if (raft.earlyReads.length + raft.reads.count >= readRequestsMax) {
    raft.emit({ kind: "reads-dropped", count: 1 });
    return;
  }
  // In a cluster of one, too: after a restart its leader does not know what it had committed.
  if (!raft.committedInTerm) raft.earlyReads.push(received);
  else confirmRead(raft, received);
}

function confirmRead(raft: Raft, { from, context }: Message): void {
  const index = raft.log.committed;
  if (raft.singleton || raft.config.reads === "lease") {
    answerRead(raft, from, context, index);
    return;
  }
  raft.reads.add({ from, context, index }, raft.id);
  broadcastHeartbeat(raft);
}

function releaseEarlyReads(raft: Raft): void {
  if (raft.earlyReads.length === 0 || !raft.committedInTerm) return;
  const waiting = raft.earlyReads;
  raft.earlyReads = [];
  for (const read of waiting) confirmRead(raft, read);
}

function answerRead(raft: Raft, from: PeerId, context: number, index: RaftIndex): void {
  if (from === noPeer || from === raft.id) raft.readStates.push({ context, index });
  else raft.send(message("read-index-response", from, { from: raft.id, term: raft.term, context, index }));
}
