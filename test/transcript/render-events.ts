/**
 * Renders core events as the log lines of the transcripts, with their level. Events that etcd's files do not have are
 * rendered at level debug.
 */

import type { RaftLog } from "../../src/raft/core/log.ts";
import type { ConfChange, ConfChangeProblem, CoreEvent, PeerId } from "../../src/raft/core/mod.ts";
import { configurationText, confStateText, hex, messageNames, progressText } from "./render.ts";

export type Level = "debug" | "info" | "warn" | "error";

const roleWords = {
  follower: "follower",
  "pre-candidate": "pre-candidate",
  candidate: "candidate",
  leader: "leader",
} as const;

function logText(log: RaftLog): string {
  return (
    `committed=${log.committed}, applied=${log.applied}, applying=${log.applying},` +
    ` unstable.offset=${log.unstableOffset}, unstable.offsetInProgress=${log.unstableInProgress},` +
    ` len(unstable.Entries)=${log.unstableCount}`
  );
}

const transitions = { auto: "Auto", implicit: "JointImplicit", explicit: "JointExplicit" } as const;
const actions = {
  voter: "AddNode",
  learner: "AddLearnerNode",
  remove: "RemoveNode",
  update: "UpdateNode",
} as const;

function changeStruct({ transition, changes }: ConfChange): string {
  const list = changes.map(({ action, peer }) => `{ConfChange${actions[action]} ${peer}}`);
  return `{ConfChangeTransition${transitions[transition]} [${list.join(" ")}] []}`;
}

function problemText(problem: ConfChangeProblem): string {
  switch (problem.why) {
    case "pending":
      return `possible unapplied conf change at index ${problem.pendingIndex} (applied to ${problem.applied})`;
    case "must-leave-joint":
      return "must transition out of joint config first";
    case "not-joint":
      return "not in joint state; refusing empty conf change";
  }
}

export function eventLine(self: PeerId, event: CoreEvent): [Level, string] {
  const id = hex(self);
  switch (event.kind) {
    case "conflict-found":
      return [
        "info",
        `found conflict at index ${event.index} [existing term: ${event.existing}, conflicting term: ${event.term}]`,
      ];
    case "unstable-replaced":
      return ["info", `replace the unstable entries from index ${event.index}`];
    case "unstable-truncated":
      return ["info", `truncate the unstable entries before index ${event.index}`];
    case "stable-entry-missing":
      return ["info", `entry at index ${event.index} missing from unstable log; ignoring`];
    case "stable-entry-in-snapshot":
      return ["info", `entry at index ${event.index} matched unstable snapshot; ignoring`];
    case "stable-entry-mismatch":
      return [
        "info",
        `entry at (index,term)=(${event.index},${event.term}) mismatched with entry at ` +
          `(${event.index},${event.found}) in unstable log; ignoring`,
      ];
    case "started":
      return [
        "info",
        `newRaft ${id} [peers: [${event.peers.map(hex).join(",")}], term: ${event.term}, ` +
          `commit: ${event.log.committed}, applied: ${event.log.applied}, ` +
          `lastindex: ${event.log.lastIndex}, lastterm: ${event.log.lastTerm}]`,
      ];
    case "became":
      return ["info", `${id} became ${roleWords[event.role]} at term ${event.term}`];
    case "configuration-switched":
      return ["info", `${id} switched to configuration ${configurationText(event.configuration)}`];
    case "election-started":
      return ["info", `${id} is starting a new election at term ${event.term}`];
    case "election-needless":
      return ["debug", `${id} ignoring MsgHup because already leader`];
    case "not-promotable":
      return ["warn", `${id} is unpromotable and can not campaign`];
    case "election-waits-for-configuration":
      return [
        "warn",
        `${id} cannot campaign at term ${event.term} since there are still pending configuration changes to apply`,
      ];
    case "vote-requested":
      return [
        "info",
        `${id} [logterm: ${event.last.term}, index: ${event.last.index}] sent ${messageNames[event.type]} ` +
          `request to ${hex(event.to)} at term ${event.term}`,
      ];
    case "vote-cast":
    case "vote-refused":
    case "vote-ignored":
      return ["info", voteLine(id, event)];
    case "vote-received":
      return [
        "info",
        `${id} received ${messageNames[event.type]}${event.granted ? "" : " rejection"} ` +
          `from ${hex(event.from)} at term ${event.term}`,
      ];
    case "votes-counted":
      return [
        "info",
        `${id} has received ${event.granted} ${messageNames[event.type]} votes and ${event.rejected} vote rejections`,
      ];
    case "quorum-lost":
      return ["warn", `${id} stepped down to follower since quorum is not active`];
    case "higher-term-seen":
      return [
        "info",
        `${id} [term: ${event.term}] received a ${messageNames[event.message.type]} message with higher term ` +
          `from ${hex(event.message.from)} [term: ${event.message.term}]`,
      ];
    case "lower-term-ignored":
      return [
        "info",
        `${id} [term: ${event.term}] ignored a ${messageNames[event.message.type]} message with lower term ` +
          `from ${hex(event.message.from)} [term: ${event.message.term}]`,
      ];
    case "stale-storage-response":
      return [
        "info",
        `${id} [term: ${event.term}] ignored entry appends from a ${messageNames[event.message.type]} message ` +
          `with lower term [term: ${event.message.term}]`,
      ];
    case "append-refused":
      return [
        "debug",
        `${id} [logterm: ${event.logTerm}, index: ${event.message.index}] rejected MsgApp ` +
          `[logterm: ${event.message.logTerm}, index: ${event.message.index}] from ${hex(event.message.from)}`,
      ];
    case "refusal-received":
      return [
        "debug",
        `${id} received MsgAppResp(rejected, hint: (index ${event.message.rejectHint}, term ${event.message.logTerm})) ` +
          `from ${hex(event.message.from)} for index ${event.message.index}`,
      ];
    case "progress-decreased":
      return ["debug", `${id} decreased progress of ${hex(event.peer)} to [${progressText(event.progress)}]`];
    case "recovered-from-snapshot":
      return [
        "debug",
        `${id} recovered from needing snapshot, resumed sending replication messages to ${hex(event.peer)} ` +
          `[${progressText(event.progress)}]`,
      ];
    case "snapshot-sent":
      return [
        "debug",
        `${id} [firstindex: ${event.firstIndex}, commit: ${event.commit}] sent snapshot[index: ${event.snapshot.index}, ` +
          `term: ${event.snapshot.term}] to ${hex(event.peer)} [${progressText(event.progress)}]`,
      ];
    case "paused-for-snapshot":
      return [
        "debug",
        `${id} paused sending replication messages to ${hex(event.peer)} [${progressText(event.progress)}]`,
      ];
    case "snapshot-delivered":
    case "snapshot-failed":
      return [
        "debug",
        `${id} snapshot ${event.kind === "snapshot-failed" ? "failed" : "succeeded"}, resumed sending ` +
          `replication messages to ${hex(event.peer)} [${progressText(event.progress)}]`,
      ];
    case "snapshot-unavailable":
      return [
        "debug",
        `${id} failed to send snapshot to ${hex(event.peer)} because snapshot is temporarily unavailable`,
      ];
    case "snapshot-withheld":
      return ["debug", `ignore sending snapshot to ${hex(event.peer)} since it is not recently active`];
    case "entries-unreadable":
      return ["debug", `${id} failed to send entries from ${event.index} to ${hex(event.peer)}: damaged`];
    case "unreachable":
      return [
        "debug",
        `${id} failed to send message to ${hex(event.peer)} because it is unreachable [${progressText(event.progress)}]`,
      ];
    case "no-progress":
      return ["debug", `${id} no progress available for ${hex(event.peer)}`];
    case "snapshot-restoring":
      return [
        "info",
        `log [${logText(event.log)}] starts to restore snapshot [index: ${event.snapshot.index}, term: ${event.snapshot.term}]`,
      ];
    case "snapshot-installed":
      return [
        "info",
        `${id} [commit: ${event.commit}, lastindex: ${event.last.index}, lastterm: ${event.last.term}] ` +
          `restored snapshot [index: ${event.snapshot.index}, term: ${event.snapshot.term}]`,
      ];
    case "snapshot-fast-forwarded":
      return [
        "info",
        `${id} [commit: ${event.commit}, lastindex: ${event.last.index}, lastterm: ${event.last.term}] ` +
          `fast-forwarded commit to snapshot [index: ${event.snapshot.index}, term: ${event.snapshot.term}]`,
      ];
    case "snapshot-accepted":
    case "snapshot-ignored":
      return [
        "info",
        `${id} [commit: ${event.commit}] ${event.kind === "snapshot-ignored" ? "ignored" : "restored"} snapshot ` +
          `[index: ${event.snapshot.index}, term: ${event.snapshot.term}]`,
      ];
    case "snapshot-without-us":
      return [
        "warn",
        `${id} attempted to restore snapshot but it is not in the ConfState ${confStateText(event.configuration)}; ` +
          "should never happen",
      ];
    case "proposal-dropped":
      return droppedLine(id, event);
    case "change-refused":
      return [
        "info",
        `${id} ignoring conf change ${changeStruct(event.change)} ` +
          `at config ${configurationText(event.configuration)}: ${problemText(event.problem)}`,
      ];
    case "auto-leave-started":
      return [
        "info",
        `initiating automatic transition out of joint configuration ${configurationText(event.configuration)}`,
      ];
    case "auto-leave-postponed":
      return [
        "debug",
        `not initiating automatic transition out of joint configuration ${configurationText(event.configuration)}: ` +
          "raft proposal dropped",
      ];
    case "peer-fault":
      return ["error", `${id} ignored a ${event.message.type} of ${hex(event.message.from)}: ${event.why}`];
    case "leader-forgotten":
      return ["info", `${id} forgetting leader ${hex(event.leader)} at term ${event.term}`];
    case "leader-connection-lost":
      return ["debug", `${id} lost its connection to leader ${hex(event.leader)} at term ${event.term}`];
    case "forget-refused":
      return ["error", "ignoring MsgForgetLeader due to ReadOnlyLeaseBased"];
    case "reads-dropped":
      return ["debug", `${id} dropped ${event.count} pending reads`];
    default:
      return transferLine(id, event);
  }
}

type VoteEvent = Extract<CoreEvent, { readonly request: unknown }>;
type DroppedEvent = Extract<CoreEvent, { readonly kind: "proposal-dropped" }>;
type TransferEvent = Extract<
  CoreEvent,
  { readonly peer: PeerId; readonly term: number; readonly why?: never }
>;

function voteLine(id: string, event: VoteEvent): string {
  const { last, vote, request, term } = event;
  const start = `${id} [logterm: ${last.term}, index: ${last.index}, vote: ${hex(vote)}]`;
  const name = messageNames[request.type];
  const place = `${hex(request.from)} [logterm: ${request.logTerm}, index: ${request.index}] at term ${term}`;
  if (event.kind === "vote-cast") return `${start} cast ${name} for ${place}`;
  if (event.kind === "vote-refused") return `${start} rejected ${name} from ${place}`;
  return `${start} ignored ${name} from ${place}: lease is not expired (remaining ticks: ${event.remainingTicks})`;
}

function droppedLine(id: string, event: DroppedEvent): [Level, string] {
  const { why, term, peer } = event;
  if (why === "no-leader") return ["info", `${id} no leader at term ${term}; dropping proposal`];
  if (why === "not-forwarding") {
    return ["info", `${id} not forwarding to leader ${hex(peer)} at term ${term}; dropping proposal`];
  }
  if (why === "transferring") {
    return [
      "debug",
      `${id} [term ${term}] transfer leadership to ${hex(peer)} is in progress; dropping proposal`,
    ];
  }
  return [
    "warn",
    `${id} appending new entries to log would exceed uncommitted entry size limit; dropping proposal`,
  ];
}

function transferLine(id: string, event: TransferEvent): [Level, string] {
  const peer = hex(event.peer);
  const at = `${id} [term ${event.term}]`;
  switch (event.kind) {
    case "transfer-started":
      return ["info", `${at} starts to transfer leadership to ${peer}`];
    case "transfer-repeated":
      return [
        "info",
        `${at} transfer leadership to ${peer} is in progress, ignores request to same node ${peer}`,
      ];
    case "transfer-replaced":
      return ["info", `${at} abort previous transferring leadership to ${peer}`];
    case "transfer-aborted":
      return ["debug", `${at} gives up transferring leadership to ${peer}`];
    case "transfer-to-self":
      return ["debug", `${id} is already leader. Ignored transferring leadership to self`];
    case "transfer-to-learner":
      return ["debug", `${id} is learner. Ignored transferring leadership`];
    case "transfer-without-leader":
      return ["info", `${id} no leader at term ${event.term}; dropping leader transfer msg`];
    case "timeout-now-sent":
      return ["info", `${id} sent MsgTimeoutNow to ${peer} after received MsgAppResp`];
    case "timeout-now-sent-at-once":
      return [
        "info",
        `${id} sends MsgTimeoutNow to ${peer} immediately as ${peer} already has up-to-date log`,
      ];
    case "timeout-now-received":
      return ["info", `${at} received MsgTimeoutNow from ${peer} and starts an election to get leadership.`];
    case "timeout-now-ignored":
      return ["debug", `${at} ignored MsgTimeoutNow from ${peer}`];
  }
}
