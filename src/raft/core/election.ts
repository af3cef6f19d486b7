/**
 * Becoming follower, candidate and leader; asking for votes, giving them, counting them.
 *
 * Never: replicates anything but a new leader's first entry.
 */
import { assert } from "../../lib/assert.ts";
import { allVoters } from "./configuration.ts";
import type { Raft } from "./raft.ts";
import { appendOwn, broadcastAppend } from "./replication.ts";
import {
  type Message,
  message,
  nobody,
  type PeerId,
  type RaftIndex,
  type Term,
  transferContext,
} from "./types.ts";

export function becomeFollower(raft: Raft, term: Term, leader: PeerId): void {
  raft.reset(term);
  raft.leader = leader;
  if (leader !== nobody) raft.hasteLeft = 0;
  raft.role = "follower";
  raft.tell({ kind: "became", role: "follower", term: raft.term });
}

function becomeCandidate(raft: Raft): void {
  assert(raft.role !== "leader", "a leader does not campaign");
  raft.reset(raft.term + 1);
  raft.hasten();
  raft.vote = raft.id;
  raft.role = "candidate";
  raft.tell({ kind: "became", role: "candidate", term: raft.term });
}

/** Neither the term nor the vote changes: asking first must not disturb anyone. */
function becomePreCandidate(raft: Raft): void {
  assert(raft.role !== "leader", "a leader does not campaign");
  raft.tracker.resetVotes();
  raft.role = "pre-candidate";
  raft.leader = nobody;
  raft.tell({ kind: "became", role: "pre-candidate", term: raft.term });
}

/**
 * A leader begins with an empty entry of its term: only with that can it commit what came before. Until then
 * any configuration change may be somewhere in its log.
 */
function becomeLeader(raft: Raft): void {
  assert(raft.role === "candidate", "only a candidate becomes leader");
  raft.reset(raft.term);
  raft.hasteLeft = 0;
  raft.leader = raft.id;
  raft.role = "leader";
  const own = raft.tracker.progress.get(raft.id);
  assert(own !== undefined, "a leader is in its configuration");
  own.becomeReplicate();
  own.active = true;
  raft.pendingConfIndex = raft.log.lastIndex;
  const appended = appendOwn(raft, [raft.ownProposal()]);
  assert(appended, "an empty entry is never too large");
  raft.tell({ kind: "became", role: "leader", term: raft.term });
}

/** Starts an election if this node may: `transfer` is the leader's own wish and skips asking first. */
export function hup(raft: Raft, transfer: boolean): void {
  if (raft.role === "leader") {
    raft.tell({ kind: "election-needless" });
  } else if (!raft.promotable) {
    raft.tell({ kind: "not-promotable" });
  } else if (commitProvenChanges(raft)) {
    raft.tell({ kind: "election-waits-for-configuration", term: raft.term });
  } else {
    raft.tell({ kind: "election-started", term: raft.term });
    if (raft.config.preVote === true && !transfer) {
      becomePreCandidate(raft);
      askForVotes(raft, "pre-vote", raft.term + 1, 0);
    } else {
      campaign(raft, transfer ? transferContext : 0);
    }
  }
}

function campaign(raft: Raft, context: number): void {
  becomeCandidate(raft);
  askForVotes(raft, "vote", raft.term, context);
}

/** Asks everyone; the vote for itself is a message to itself, which waits for its disk. */
function askForVotes(raft: Raft, type: "vote" | "pre-vote", term: Term, context: number): void {
  const { lastIndex: index, lastTerm: logTerm } = raft.log;
  for (const peer of allVoters(raft.tracker.configuration)) {
    if (peer === raft.id) {
      raft.send(message(`${type}-response`, peer, { from: raft.id, term }));
      continue;
    }
    raft.tell({
      kind: "vote-requested",
      last: { index, term: logTerm },
      type,
      to: peer,
      term: raft.term,
    });
    raft.send(message(type, peer, { from: raft.id, term, index, logTerm, context }));
  }
}

/**
 * Commits what the log proves to be committed: all changes in it but the last, whatever is known of the commit index,
 * since a leader proposes one only once it has applied the one before. Without that, a node that had forgotten it could
 * be elected by others that were replaced since. Answers whether a committed change is still to be applied: it would make
 * this node count with the wrong majority. Entries are looked at in pages, so that a long backlog is not all held at once.
 */
function commitProvenChanges(raft: Raft): boolean {
  const { log, config } = raft;
  let first: RaftIndex | undefined;
  let last: RaftIndex | undefined;
  for (let low = log.applied + 1; low <= log.lastIndex; ) {
    const page = log.slice(low, log.lastIndex + 1, 1 << 20);
    assert(page !== undefined && page.length > 0, "an unapplied entry was compacted");
    for (const { index, change } of page) {
      if (change === undefined) continue;
      first ??= index;
      // Where changes are let in that may not be, one proves nothing of another.
      if (last !== undefined && config.disableConfChangeValidation !== true) log.commitTo(last);
      last = index;
    }
    low += page.length;
  }
  return first !== undefined && first <= log.committed;
}

/** Answers a request for a vote of our own term, or for a pre-vote of that or a later one. */
export function answerVote(raft: Raft, request: Message): void {
  const granted = mayVote(raft, request) && raft.log.isUpToDate(request.index, request.logTerm);
  const { lastIndex: index, lastTerm } = raft.log;
  const last = { index, term: lastTerm };
  const { vote, term } = raft;
  raft.tell({ kind: granted ? "vote-cast" : "vote-refused", last, vote, request, term, remainingTicks: 0 });
  const type = request.type === "vote" ? "vote-response" : "pre-vote-response";
  if (!granted) {
    refuseVote(raft, type, request.from);
    return;
  }
  // The answer to a pre-vote carries the term it was asked for, which is not ours.
  raft.send(message(type, request.from, { from: raft.id, term: request.term }));
  if (request.type === "vote") {
    raft.electionElapsed = 0;
    raft.vote = request.from;
  }
}

export function refuseVote(raft: Raft, type: "vote-response" | "pre-vote-response", to: PeerId): void {
  const { committed } = raft.log;
  const known =
    raft.config.commitByVote === true ? { commit: committed, logTerm: raft.log.term(committed) ?? 0 } : {};
  raft.send(message(type, to, { from: raft.id, term: raft.term, reject: true, ...known }));
}

/**
 * Tells the voters, unasked and in no term, what is committed. One that has left may be the only one who knows that it
 * has; and who came in its place cannot even ask, for in what it has applied it is nobody yet.
 */
export function tellCommit(raft: Raft): void {
  for (const peer of allVoters(raft.tracker.configuration)) if (peer !== raft.id) tellCommitTo(raft, peer);
}

function tellCommitTo(raft: Raft, peer: PeerId): void {
  const { committed: commit } = raft.log;
  const logTerm = raft.log.term(commit) ?? 0;
  raft.send(message("pre-vote-response", peer, { from: raft.id, reject: true, commit, logTerm }));
}

/**
 * Who refused a vote and knows less to be committed than its asker is told. It may be the one that has to lead, for its
 * log is longer, and not know yet that it may.
 */
export function answerRefusal(raft: Raft, refusal: Message): void {
  const { type, from, reject, term, commit } = refusal;
  if (!reject || term === 0 || raft.config.commitByVote !== true) return;
  if (type !== "vote-response" && type !== "pre-vote-response") return;
  if (commit < raft.log.committed) tellCommitTo(raft, from);
}

/** One vote a term, repeated as often as asked; none while a leader of this term is known. */
function mayVote(raft: Raft, request: Message): boolean {
  if (raft.vote === request.from) return true;
  if (raft.vote === nobody && raft.leader === nobody) return true;
  return request.type === "pre-vote" && request.term > raft.term;
}

/** A candidate, or one that would be, has an answer. */
export function countVote(raft: Raft, answer: Message): void {
  const { from, type } = answer;
  raft.tell({ kind: "vote-received", type, from, granted: !answer.reject, term: raft.term });
  raft.tracker.recordVote(from, !answer.reject);
  const { granted, rejected, result } = raft.tracker.tally();
  raft.tell({ kind: "votes-counted", type, granted, rejected });
  if (result === "lost") {
    becomeFollower(raft, raft.term, nobody);
    raft.hasten();
  }
  if (result !== "won") return;
  if (raft.role === "pre-candidate") {
    campaign(raft, 0);
  } else {
    becomeLeader(raft);
    broadcastAppend(raft);
  }
}
