/** A follower's handling of a leader's messages: appends, heartbeats, snapshots. */
import { fromConfState } from "./configuration.ts";
import { becomeFollower, hup } from "./election.ts";
import type { Raft } from "./raft.ts";
import { type Message, message, noPeer, type Snapshot, type StepRefusal } from "./types.ts";

export function stepFollower(raft: Raft, received: Message): StepRefusal | undefined {
  switch (received.type) {
    case "propose":
      return forwardProposal(raft, received);
    case "append":
    case "heartbeat":
    case "snapshot":
      if (raft.leader !== noPeer && raft.leader !== received.from) {
        raft.emit({ kind: "peer-fault", why: "second-leader", message: received });
        break;
      }
      raft.electionElapsed = 0;
      raft.leader = received.from;
      raft.hasteLeft = 0;
      handleFromLeader(raft, received);
      break;
    case "transfer-leader":
    case "read-index":
      if (raft.leader !== noPeer) {
        const from = received.from === noPeer ? raft.id : received.from;
        const term = received.type === "read-index" ? 0 : raft.term;
        raft.send({ ...received, term, from, to: raft.leader });
      } else if (received.type === "transfer-leader") {
        raft.emit({ kind: "transfer-without-leader", peer: received.from, term: raft.term });
      } else raft.emit({ kind: "reads-dropped", count: 1 });
      break;
    case "timeout-now":
      raft.emit({ kind: "timeout-now-received", peer: received.from, term: raft.term });
      hup(raft, true);
      break;
    case "read-index-response":
      raft.readStates.push({ context: received.context, index: received.index });
      break;
    default:
  }
  return undefined;
}

function forwardProposal(raft: Raft, received: Message): StepRefusal | undefined {
  const drop = (why: "no-leader" | "not-forwarding"): StepRefusal => {
    raft.emit({ kind: "proposal-dropped", why, term: raft.term, peer: raft.leader });
    return "proposal-dropped";
  };
  if (raft.leader === noPeer) return drop("no-leader");
  if (raft.config.disableProposalForwarding === true) return drop("not-forwarding");
  const from = received.from === noPeer ? raft.id : received.from;
  raft.send({ ...received, from, to: raft.leader });
  return undefined;
}

/** An append, heartbeat or snapshot of this term's leader. */
export function handleFromLeader(raft: Raft, received: Message): void {
  if (received.type === "append") handleAppend(raft, received);
  else if (received.type === "heartbeat") handleHeartbeat(raft, received);
  else handleSnapshot(raft, received);
}

function handleAppend(raft: Raft, received: Message): void {
  const { from, index, logTerm, entries, commit } = received;
  const base = { from: raft.id, term: raft.term };
  if (index < raft.log.committed) {
    raft.send(message("append-response", from, { ...base, index: raft.log.committed }));
  } else if (raft.log.maybeAppend(index, logTerm, entries, commit)) {
    raft.send(message("append-response", from, { ...base, index: index + entries.length }));
  } else {
    raft.emit({ kind: "append-refused", logTerm: raft.log.term(index) ?? 0, message: received });
    // The hint saves the leader a probe for each entry: the end of this log, or before it the last entry whose term is not
    // above the one that the leader expected.
    const hint = raft.log.conflictByTerm(Math.min(index, raft.log.lastIndex), logTerm);
    raft.send(
      message("append-response", from, {
        ...base,
        index,
        reject: true,
        rejectHint: hint.index,
        logTerm: hint.term,
      }),
    );
  }
}

/**
 * A heartbeat's commit index is not beyond what this node acknowledged in this term. If it is, this log lost acknowledged
 * entries. The answer says where the log ends, and in `commit` what the leader counted on.
 */
function handleHeartbeat(raft: Raft, received: Message): void {
  const { from, context, commit } = received;
  if (commit > raft.log.lastIndex) {
    raft.emit({ kind: "peer-fault", why: "commit-beyond-end", message: received });
    const { lastIndex: rejectHint, lastTerm: logTerm } = raft.log;
    raft.send(
      message("append-response", from, {
        from: raft.id,
        term: raft.term,
        index: commit,
        reject: true,
        rejectHint,
        logTerm,
        commit,
      }),
    );
    return;
  }
  raft.log.commitTo(commit);
  raft.send(message("heartbeat-response", from, { from: raft.id, term: raft.term, context }));
}

function handleSnapshot(raft: Raft, received: Message): void {
  const snapshot = received.snapshot;
  if (snapshot === undefined) return;
  const restored = restore(raft, snapshot);
  raft.emit({
    kind: restored ? "snapshot-accepted" : "snapshot-ignored",
    commit: raft.log.committed,
    snapshot,
  });
  const index = restored ? raft.log.lastIndex : raft.log.committed;
  raft.send(message("append-response", received.from, { from: raft.id, term: raft.term, index }));
}

/** Replaces the log by the snapshot, unless the log already has its last entry. Returns whether it did. */
function restore(raft: Raft, snapshot: Snapshot): boolean {
  if (snapshot.index <= raft.log.committed) return false;
  if (raft.role !== "follower") {
    becomeFollower(raft, raft.term + 1, noPeer);
    return false;
  }
  const { configuration } = snapshot;
  const members = [...configuration.voters, ...configuration.learners, ...configuration.votersOutgoing];
  if (!members.includes(raft.id) && raft.config.snapshotsMayPredateUs !== true) {
    raft.emit({ kind: "snapshot-without-us", configuration });
    return false;
  }
  if (raft.log.matchTerm(snapshot.index, snapshot.term)) {
    raft.emit({ kind: "snapshot-fast-forwarded", commit: raft.log.committed, last: last(raft), snapshot });
    raft.log.commitTo(snapshot.index);
    return false;
  }
  raft.emit({ kind: "snapshot-restoring", log: raft.log, snapshot });
  raft.log.restore(snapshot);
  raft.tracker.restore(fromConfState(configuration), raft.log.lastIndex);
  raft.emit({ kind: "configuration-switched", configuration: raft.tracker.configuration });
  const own = raft.tracker.progress.get(raft.id);
  own?.acknowledged(own.next - 1);
  raft.emit({ kind: "snapshot-installed", commit: raft.log.committed, last: last(raft), snapshot });
  return true;
}

const last = (raft: Raft): { index: number; term: number } => ({
  index: raft.log.lastIndex,
  term: raft.log.lastTerm,
});
