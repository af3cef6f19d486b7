/** A leader's sending of appends, snapshots and heartbeats, its own appends, and committing. */
import { Fault } from "../../fault.ts";
import type { Raft } from "./raft.ts";
import { type Entry, message, type PeerId, payloadBytes, type RaftIndex, type Snapshot } from "./types.ts";

/**
 * Sends `to` the entries that it lacks, or the commit index alone. Sends nothing while the peer's progress is paused, and no
 * append without entries if `evenEmpty` is false. Returns whether a message was sent.
 */
export function sendAppend(raft: Raft, to: PeerId, evenEmpty = true): boolean {
  const progress = raft.tracker.progress.get(to);
  if (progress === undefined || progress.blocked) return false;
  const previous = progress.next - 1;
  const previousTerm = raft.log.term(previous);
  if (previousTerm === undefined) return sendSnapshot(raft, to);
  // A full window still allows empty appends (a heartbeat's answer resumes sending). If the whole window was lost, the refusal
  // of an empty append starts replication again.
  let entries: readonly Entry[] | undefined = [];
  if (progress.state !== "replicate" || !progress.inflights.full) {
    entries = entriesFor(raft, to, progress.next);
    if (entries === undefined) return sendSnapshot(raft, to);
  }
  if (entries.length === 0 && !evenEmpty) return false;
  raft.send({
    type: "append",
    from: raft.id,
    to,
    term: raft.term,
    index: previous,
    logTerm: previousTerm,
    entries,
    commit: raft.log.committed,
    vote: 0,
    reject: false,
    rejectHint: 0,
    context: 0,
    snapshot: undefined,
    responses: [],
  });
  progress.sent(entries.length, payloadBytes(entries));
  progress.sentCommit = raft.log.committed;
  return true;
}

/**
 * Damaged entries are not sent. The driver learns of it by an event, since another node should lead. The message then has no
 * entries. The same happens while the disk cannot be read, for example without a file descriptor; the next message
 * tries again.
 */
function entriesFor(raft: Raft, to: PeerId, next: RaftIndex): readonly Entry[] | undefined {
  try {
    return raft.log.entriesFrom(next, raft.config.messageBytesMax ?? Number.POSITIVE_INFINITY);
  } catch (reason) {
    noteUnreadable(raft, to, next, reason);
    return [];
  }
}

/** The same for a snapshot. */
function soundSnapshot(raft: Raft, to: PeerId, next: RaftIndex): Snapshot | undefined {
  try {
    return raft.log.snapshot();
  } catch (reason) {
    noteUnreadable(raft, to, next, reason);
    return undefined;
  }
}

/** @throws the reason, unless it is damage or temporary */
function noteUnreadable(raft: Raft, peer: PeerId, index: RaftIndex, reason: unknown): void {
  if (!(reason instanceof Fault)) throw reason;
  if (reason.kind === "disk-busy" || reason.kind === "disk-full") return;
  if (reason.kind !== "corrupt") throw reason;
  raft.emit({ kind: "entries-unreadable", peer, index });
}

function sendSnapshot(raft: Raft, to: PeerId): boolean {
  const progress = raft.tracker.progress.get(to);
  if (progress === undefined) return false;
  if (!progress.active) {
    raft.emit({ kind: "snapshot-withheld", peer: to });
    return false;
  }
  const snapshot = soundSnapshot(raft, to, progress.next);
  if (snapshot === undefined || snapshot.index === 0) {
    raft.emit({ kind: "snapshot-unavailable", peer: to });
    return false;
  }
  const { firstIndex, committed: commit } = raft.log;
  raft.emit({ kind: "snapshot-sent", peer: to, firstIndex, commit, snapshot, progress });
  progress.becomeSnapshot(snapshot.index);
  raft.emit({ kind: "paused-for-snapshot", peer: to, progress });
  raft.send(message("snapshot", to, { from: raft.id, term: raft.term, snapshot }));
  return true;
}

/** Every other peer, ascending. */
function others(raft: Raft): readonly PeerId[] {
  return raft.tracker.peers.filter((peer) => peer !== raft.id);
}

export function broadcastAppend(raft: Raft): void {
  for (const peer of others(raft)) sendAppend(raft, peer);
}

/** Sends entries to each peer that lacks some and is not paused. */
export function probeAll(raft: Raft): void {
  for (const peer of others(raft)) sendAppend(raft, peer, false);
}

/**
 * A heartbeat's commit index is not beyond the peer's known match: the peer may lack later entries, or have others in their
 * place.
 */
export function broadcastHeartbeat(raft: Raft): void {
  const context = raft.reads.counter;
  for (const [peer, progress] of others(raft).map((id) => [id, raft.tracker.progress.get(id)] as const)) {
    if (progress === undefined) continue;
    const commit = Math.min(progress.match, raft.log.committed);
    raft.send(message("heartbeat", peer, { from: raft.id, term: raft.term, commit, context }));
    progress.sentCommit = commit;
  }
}

/** Commits up to the index that a quorum has, if its entry is of this term. */
export function maybeCommit(raft: Raft): boolean {
  return raft.log.maybeCommit(raft.tracker.committed(), raft.term);
}

/**
 * Appends to the leader's own log; false if too many bytes are uncommitted already. Its own acknowledgment is a message to
 * itself, which waits for its disk.
 */
export function appendOwn(raft: Raft, proposed: readonly Entry[]): boolean {
  const bytes = payloadBytes(proposed);
  const limit = raft.config.uncommittedBytesMax ?? Number.POSITIVE_INFINITY;
  // A change of configuration may be what lets the rest be committed.
  const isLimited = bytes > 0 && proposed.some((entry) => entry.change === undefined);
  if (isLimited && raft.uncommittedBytes > 0 && raft.uncommittedBytes + bytes > limit) {
    raft.emit({ kind: "proposal-dropped", why: "uncommitted-limit", term: raft.term, peer: raft.id });
    return false;
  }
  raft.uncommittedBytes += bytes;
  const last = raft.log.lastIndex;
  const { term } = raft;
  const entries = proposed.map(({ bytes, change }, at) => ({ index: last + 1 + at, term, bytes, change }));
  raft.log.append(entries);
  const index = last + entries.length;
  raft.send(message("append-response", raft.id, { from: raft.id, term, index }));
  return true;
}
