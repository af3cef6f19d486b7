/** Elections: becoming follower, candidate and leader; requesting, granting and counting votes. */
import { assert } from "../../lib/assert.ts";
import { allVoters } from "./configuration.ts";
import type { Raft } from "./raft.ts";
import { appendOwn, broadcastAppend } from "./replication.ts";
import {
  type Message,
  message,
  noPeer,
  type PeerId,
  type RaftIndex,
  type Term,
  transferContext,
} from "./types.ts";

export function becomeFollower(raft: Raft, term: Term, leader: PeerId): void {
  raft.reset(term);
  raft.leader = leader;
  if (leader !== noPeer) raft.hasteLeft = 0;
  raft.role = "follower";
  raft.emit({ kind: "became", role: "follower", term: raft.term });
}

function becomeCandidate(raft: Raft): void {
  assert(raft.role !== "leader", "a leader does not campaign");
  raft.reset(raft.term + 1);
  raft.hasten();
  raft.vote = raft.id;
  raft.role = "candidate";
  raft.emit({ kind: "became", role: "candidate", term: raft.term });
}

/** Neither the term nor the vote changes: a pre-vote must not disturb a live leader. */
function becomePreCandidate(raft: Raft): void {
  assert(raft.role !== "leader", "a leader does not campaign");
  raft.tracker.resetVotes();
  raft.role = "pre-candidate";
  raft.leader = noPeer;
  raft.emit({ kind: "became", role: "pre-candidate", term: raft.term });
}

/**
 * A leader begins with an empty entry of its term: only with it can it commit older entries. Until then its log may hold an
 * unapplied change of configuration anywhere.
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
  raft.emit({ kind: "became", role: "leader", term: raft.term });
}

/** Starts an election if this node may. `transfer`: the leader asked for it, so there are no pre-votes. */
export function hup(raft: Raft, transfer: boolean): void {
  if (raft.role === "leader") {
    raft.emit({ kind: "election-needless" });
  } else if (!raft.promotable) {
    raft.emit({ kind: "not-promotable" });
  } else if (commitProvenChanges(raft)) {
    raft.emit({ kind: "election-waits-for-configuration", term: raft.term });
  } else {
    raft.emit({ kind: "election-started", term: raft.term });
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

/** Sends requests to all voters. This node's own vote is a message to itself, which waits for its disk. */
function askForVotes(raft: Raft, type: "vote" | "pre-vote", term: Term, context: number): void {
  const { lastIndex: index, lastTerm: logTerm } = raft.log;
  for (const peer of allVoters(raft.tracker.configuration)) {
    if (peer === raft.id) {
      raft.send(message(`${type}-response`, peer, { from: raft.id, term }));
      continue;
    }
    raft.emit({
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
 * Commits what the log proves to be committed: all changes in it but the last one, since a leader proposes a change only
 * after it applied the one before. Otherwise a node whose commit index is old could be elected by nodes that were replaced
 * since. Returns whether a committed change is not applied yet: this node would count with the wrong majority. Entries are
 * read in pages, so that a long backlog is not in memory at once.
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
      // Without validation a change proves nothing about the one before.
      if (last !== undefined && config.disableConfChangeValidation !== true) log.commitTo(last);
      last = index;
    }
    low += page.length;
  }
  return first !== undefined && first <= log.committed;
}

/** Answers a request for a vote of this term, or for a pre-vote of this or a later term. */
export function answerVote(raft: Raft, request: Message): void {
  const granted = mayVote(raft, request) && raft.log.isUpToDate(request.index, request.logTerm);
  const { lastIndex: index, lastTerm } = raft.log;
  const last = { index, term: lastTerm };
  const { vote, term } = raft;
  raft.emit({ kind: granted ? "vote-cast" : "vote-refused", last, vote, request, term, remainingTicks: 0 });
  const type = request.type === "vote" ? "vote-response" : "pre-vote-response";
  if (!granted) {
    refuseVote(raft, type, request.from);
    return;
  }
  // The answer to a pre-vote carries the requested term, not this node's.
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
 * Sends the voters, without a request and in term 0, what is committed. A removed node may be the only one that knows of its
 * removal. The node that replaces it cannot ask: this node has not applied its addition yet.
 */
export function sendCommit(raft: Raft): void {
  for (const peer of allVoters(raft.tracker.configuration)) if (peer !== raft.id) sendCommitTo(raft, peer);
}

function sendCommitTo(raft: Raft, peer: PeerId): void {
  const { committed: commit } = raft.log;
  const logTerm = raft.log.term(commit) ?? 0;
  raft.send(message("pre-vote-response", peer, { from: raft.id, reject: true, commit, logTerm }));
}

/**
 * Sends what is committed to a node that refused a vote and knows of less. It may have to lead, because its log is longer,
 * and not know yet that it may.
 */
export function answerRefusal(raft: Raft, refusal: Message): void {
  const { type, from, reject, term, commit } = refusal;
  if (!reject || term === 0 || raft.config.commitByVote !== true) return;
  if (type !== "vote-response" && type !== "pre-vote-response") return;
  if (commit < raft.log.committed) sendCommitTo(raft, from);
}

/** One vote a term, repeated on request; none while a leader of this term is known. */
function mayVote(raft: Raft, request: Message): boolean {
  if (raft.vote === request.from) return true;
  if (raft.vote === noPeer && raft.leader === noPeer) return true;
  return request.type === "pre-vote" && request.term > raft.term;
}

/** Counts an answer to a candidate or pre-candidate. */
export function countVote(raft: Raft, answer: Message): void {
  const { from, type } = answer;
  raft.emit({ kind: "vote-received", type, from, granted: !answer.reject, term: raft.term });
  raft.tracker.recordVote(from, !answer.reject);
  const { granted, rejected, result } = raft.tracker.tally();
  raft.emit({ kind: "votes-counted", type, granted, rejected });
  if (result === "lost") {
    becomeFollower(raft, raft.term, noPeer);
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
