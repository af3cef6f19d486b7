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

type Line = [Level, string];
type Kind = CoreEvent["kind"];
/** The event type of a kind. Several kinds can share one type. */
type EventOf<K extends Kind, E = CoreEvent> = E extends { readonly kind: infer EK }
  ? K extends EK
    ? E
    : never
  : never;
type LineOf<K extends Kind> = (id: string, event: EventOf<K>) => Line;

/** Entries and their replication. */
const logLines = {
  "conflict-found": (_, event) => [
    "info",
    `found conflict at index ${event.index} [existing term: ${event.existing}, conflicting term: ${event.term}]`,
  ],
  "unstable-replaced": (_, event) => ["info", `replace the unstable entries from index ${event.index}`],
  "unstable-truncated": (_, event) => ["info", `truncate the unstable entries before index ${event.index}`],
  "stable-entry-missing": (_, event) => [
    "info",
    `entry at index ${event.index} missing from unstable log; ignoring`,
  ],
  "stable-entry-in-snapshot": (_, event) => [
    "info",
    `entry at index ${event.index} matched unstable snapshot; ignoring`,
  ],
  "stable-entry-mismatch": (_, event) => [
    "info",
    `entry at (index,term)=(${event.index},${event.term}) mismatched with entry at ` +
      `(${event.index},${event.found}) in unstable log; ignoring`,
  ],
  "append-refused": (id, event) => [
    "debug",
    `${id} [logterm: ${event.logTerm}, index: ${event.message.index}] rejected MsgApp ` +
      `[logterm: ${event.message.logTerm}, index: ${event.message.index}] from ${hex(event.message.from)}`,
  ],
  "refusal-received": (id, event) => [
    "debug",
    `${id} received MsgAppResp(rejected, hint: (index ${event.message.rejectHint}, term ${event.message.logTerm})) ` +
      `from ${hex(event.message.from)} for index ${event.message.index}`,
  ],
  "progress-decreased": (id, event) => [
    "debug",
    `${id} decreased progress of ${hex(event.peer)} to [${progressText(event.progress)}]`,
  ],
  "entries-unreadable": (id, event) => [
    "debug",
    `${id} failed to send entries from ${event.index} to ${hex(event.peer)}: damaged`,
  ],
  unreachable: (id, event) => [
    "debug",
    `${id} failed to send message to ${hex(event.peer)} because it is unreachable [${progressText(event.progress)}]`,
  ],
  "no-progress": (id, event) => ["debug", `${id} no progress available for ${hex(event.peer)}`],
} satisfies { readonly [K in Kind]?: LineOf<K> };

/** Roles, votes and terms. */
const electionLines = {
  started: (id, event) => [
    "info",
    `newRaft ${id} [peers: [${event.peers.map(hex).join(",")}], term: ${event.term}, ` +
      `commit: ${event.log.committed}, applied: ${event.log.applied}, ` +
      `lastindex: ${event.log.lastIndex}, lastterm: ${event.log.lastTerm}]`,
  ],
  became: (id, event) => ["info", `${id} became ${roleWords[event.role]} at term ${event.term}`],
  "election-started": (id, event) => ["info", `${id} is starting a new election at term ${event.term}`],
  "election-needless": (id) => ["debug", `${id} ignoring MsgHup because already leader`],
  "not-promotable": (id) => ["warn", `${id} is unpromotable and can not campaign`],
  "election-waits-for-configuration": (id, event) => [
    "warn",
    `${id} cannot campaign at term ${event.term} since there are still pending configuration changes to apply`,
  ],
  "vote-requested": (id, event) => [
    "info",
    `${id} [logterm: ${event.last.term}, index: ${event.last.index}] sent ${messageNames[event.type]} ` +
      `request to ${hex(event.to)} at term ${event.term}`,
  ],
  "vote-cast": (id, event) => ["info", voteLine(id, event)],
  "vote-refused": (id, event) => ["info", voteLine(id, event)],
  "vote-ignored": (id, event) => ["info", voteLine(id, event)],
  "vote-received": (id, event) => [
    "info",
    `${id} received ${messageNames[event.type]}${event.granted ? "" : " rejection"} ` +
      `from ${hex(event.from)} at term ${event.term}`,
  ],
  "votes-counted": (id, event) => [
    "info",
    `${id} has received ${event.granted} ${messageNames[event.type]} votes and ${event.rejected} vote rejections`,
  ],
  "quorum-lost": (id) => ["warn", `${id} stepped down to follower since quorum is not active`],
  "higher-term-seen": (id, event) => [
    "info",
    `${id} [term: ${event.term}] received a ${messageNames[event.message.type]} message with higher term ` +
      `from ${hex(event.message.from)} [term: ${event.message.term}]`,
  ],
  "lower-term-ignored": (id, event) => [
    "info",
    `${id} [term: ${event.term}] ignored a ${messageNames[event.message.type]} message with lower term ` +
      `from ${hex(event.message.from)} [term: ${event.message.term}]`,
  ],
  "stale-storage-response": (id, event) => [
    "info",
    `${id} [term: ${event.term}] ignored entry appends from a ${messageNames[event.message.type]} message ` +
      `with lower term [term: ${event.message.term}]`,
  ],
} satisfies { readonly [K in Kind]?: LineOf<K> };

/** Snapshots. */
const snapshotLines = {
  "recovered-from-snapshot": (id, event) => [
    "debug",
    `${id} recovered from needing snapshot, resumed sending replication messages to ${hex(event.peer)} ` +
      `[${progressText(event.progress)}]`,
  ],
  "snapshot-sent": (id, event) => [
    "debug",
    `${id} [firstindex: ${event.firstIndex}, commit: ${event.commit}] sent snapshot[index: ${event.snapshot.index}, ` +
      `term: ${event.snapshot.term}] to ${hex(event.peer)} [${progressText(event.progress)}]`,
  ],
  "paused-for-snapshot": (id, event) => [
    "debug",
    `${id} paused sending replication messages to ${hex(event.peer)} [${progressText(event.progress)}]`,
  ],
  "snapshot-delivered": (id, event) => [
    "debug",
    `${id} snapshot succeeded, resumed sending ` +
      `replication messages to ${hex(event.peer)} [${progressText(event.progress)}]`,
  ],
  "snapshot-failed": (id, event) => [
    "debug",
    `${id} snapshot failed, resumed sending ` +
      `replication messages to ${hex(event.peer)} [${progressText(event.progress)}]`,
  ],
  "snapshot-unavailable": (id, event) => [
    "debug",
    `${id} failed to send snapshot to ${hex(event.peer)} because snapshot is temporarily unavailable`,
  ],
  "snapshot-withheld": (_, event) => [
    "debug",
    `ignore sending snapshot to ${hex(event.peer)} since it is not recently active`,
  ],
  "snapshot-restoring": (_, event) => [
    "info",
    `log [${logText(event.log)}] starts to restore snapshot [index: ${event.snapshot.index}, term: ${event.snapshot.term}]`,
  ],
  "snapshot-installed": (id, event) => [
    "info",
    `${id} [commit: ${event.commit}, lastindex: ${event.last.index}, lastterm: ${event.last.term}] ` +
      `restored snapshot [index: ${event.snapshot.index}, term: ${event.snapshot.term}]`,
  ],
  "snapshot-fast-forwarded": (id, event) => [
    "info",
    `${id} [commit: ${event.commit}, lastindex: ${event.last.index}, lastterm: ${event.last.term}] ` +
      `fast-forwarded commit to snapshot [index: ${event.snapshot.index}, term: ${event.snapshot.term}]`,
  ],
  "snapshot-accepted": (id, event) => [
    "info",
    `${id} [commit: ${event.commit}] restored snapshot ` +
      `[index: ${event.snapshot.index}, term: ${event.snapshot.term}]`,
  ],
  "snapshot-ignored": (id, event) => [
    "info",
    `${id} [commit: ${event.commit}] ignored snapshot ` +
      `[index: ${event.snapshot.index}, term: ${event.snapshot.term}]`,
  ],
  "snapshot-without-us": (id, event) => [
    "warn",
    `${id} attempted to restore snapshot but it is not in the ConfState ${confStateText(event.configuration)}; ` +
      "should never happen",
  ],
} satisfies { readonly [K in Kind]?: LineOf<K> };

/** Configuration, proposals, reads and the leader. */
const otherLines = {
  "configuration-switched": (id, event) => [
    "info",
    `${id} switched to configuration ${configurationText(event.configuration)}`,
  ],
  "proposal-dropped": (id, event) => droppedLine(id, event),
  "change-refused": (id, event) => [
    "info",
    `${id} ignoring conf change ${changeStruct(event.change)} ` +
      `at config ${configurationText(event.configuration)}: ${problemText(event.problem)}`,
  ],
  "auto-leave-started": (_, event) => [
    "info",
    `initiating automatic transition out of joint configuration ${configurationText(event.configuration)}`,
  ],
  "auto-leave-postponed": (_, event) => [
    "debug",
    `not initiating automatic transition out of joint configuration ${configurationText(event.configuration)}: ` +
      "raft proposal dropped",
  ],
  "peer-fault": (id, event) => [
    "error",
    `${id} ignored a ${event.message.type} of ${hex(event.message.from)}: ${event.why}`,
  ],
  "leader-forgotten": (id, event) => [
    "info",
    `${id} forgetting leader ${hex(event.leader)} at term ${event.term}`,
  ],
  "leader-connection-lost": (id, event) => [
    "debug",
    `${id} lost its connection to leader ${hex(event.leader)} at term ${event.term}`,
  ],
  "forget-refused": () => ["error", "ignoring MsgForgetLeader due to ReadOnlyLeaseBased"],
  "reads-dropped": (id, event) => ["debug", `${id} dropped ${event.count} pending reads`],
} satisfies { readonly [K in Kind]?: LineOf<K> };

type TransferKind = TransferEvent["kind"];
const lines: { readonly [K in Exclude<Kind, TransferKind>]: LineOf<K> } = {
  ...logLines,
  ...electionLines,
  ...snapshotLines,
  ...otherLines,
};

const isTransfer = (event: CoreEvent): event is TransferEvent => !(event.kind in lines);

/** Returns the log line of an event, as etcd words it. */
export function eventLine(self: PeerId, event: CoreEvent): Line {
  if (isTransfer(event)) return transferLine(hex(self), event);
  const line = lines[event.kind] as (id: string, event: CoreEvent) => Line;
  return line(hex(self), event);
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
