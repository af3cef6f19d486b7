/** Renders core data in the text form of the transcripts. */
import {
  appendThread,
  applyThread,
  type ConfChange,
  type Configuration,
  type ConfState,
  type Entry,
  type HardState,
  isJoint,
  type Message,
  type MessageType,
  type PeerChange,
  type PeerId,
  type RaftRole,
  type Ready,
  type Snapshot,
} from "../../src/raft/core/mod.ts";
import type { Progress } from "../../src/raft/core/progress.ts";

/** A proposed change. Transcripts distinguish the older form (v1), which has one change and no transition. */
export interface TranscriptChange extends ConfChange {
  readonly v1?: boolean;
}

export const messageNames: Readonly<Record<MessageType, string>> = {
  propose: "MsgProp",
  append: "MsgApp",
  "append-response": "MsgAppResp",
  vote: "MsgVote",
  "vote-response": "MsgVoteResp",
  "pre-vote": "MsgPreVote",
  "pre-vote-response": "MsgPreVoteResp",
  snapshot: "MsgSnap",
  heartbeat: "MsgHeartbeat",
  "heartbeat-response": "MsgHeartbeatResp",
  "transfer-leader": "MsgTransferLeader",
  "timeout-now": "MsgTimeoutNow",
  "read-index": "MsgReadIndex",
  "read-index-response": "MsgReadIndexResp",
  "storage-append": "MsgStorageAppend",
  "storage-append-response": "MsgStorageAppendResp",
  "storage-apply": "MsgStorageApply",
  "storage-apply-response": "MsgStorageApplyResp",
};

const roleNames: Readonly<Record<RaftRole, string>> = {
  follower: "StateFollower",
  "pre-candidate": "StatePreCandidate",
  candidate: "StateCandidate",
  leader: "StateLeader",
};

const stateNames = { probe: "StateProbe", replicate: "StateReplicate", snapshot: "StateSnapshot" } as const;
const letters = { voter: "v", learner: "l", remove: "r", update: "u" } as const;

export const roleName = (role: RaftRole): string => roleNames[role];
export const hex = (id: PeerId): string => id.toString(16);

function target(id: PeerId): string {
  if (id === appendThread) return "AppendThread";
  return id === applyThread ? "ApplyThread" : hex(id);
}

/** Renders changes as `v1 l2 r3 u4`. */
function changesText(changes: readonly PeerChange[]): string {
  return changes.map(({ action, peer }) => `${letters[action]}${peer}`).join(" ");
}

export function parseChanges(text: string): PeerChange[] {
  const actions = { v: "voter", l: "learner", r: "remove", u: "update" } as const;
  return text
    .split(/\s+/)
    .filter((word) => word !== "")
    .map((word) => {
      const action = actions[word[0] as keyof typeof actions];
      const peer = Number(word.slice(1));
      if (action === undefined || word.length < 2 || !Number.isSafeInteger(peer)) {
        throw new Error(`unknown input: ${word}`);
      }
      return { action, peer };
    });
}

const escapes: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
  '"': '\\"',
};

/** Quotes bytes like a string in Go: printable characters stay, others are escaped. */
export function quote(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const width = utf8Width(bytes, at);
    if (width === 0) {
      text += `\\x${(bytes[at] as number).toString(16).padStart(2, "0")}`;
      at++;
      continue;
    }
    text += quoteCharacter(Buffer.from(bytes.subarray(at, at + width)).toString("utf8"));
    at += width;
  }
  return `"${text}"`;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Returns the number of bytes of the character at `at`, or 0 if it is not valid. */
function utf8Width(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] as number;
  const width = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  try {
    strictUtf8.decode(bytes.subarray(at, at + width));
    return at + width <= bytes.length ? width : 0;
  } catch {
    return 0;
  }
}

function quoteCharacter(character: string): string {
  const known = escapes[character];
  if (known !== undefined) return known;
  if (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(character)) return character;
  const code = character.codePointAt(0) as number;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code < 0x10000
    ? `\\u${code.toString(16).padStart(4, "0")}`
    : `\\U${code.toString(16).padStart(8, "0")}`;
}

function entryText({ term, index, bytes, change }: Entry): string {
  if (change === undefined) return `${term}/${index} EntryNormal ${quote(bytes)}`;
  const type = (change as TranscriptChange).v1 === true ? "EntryConfChange" : "EntryConfChangeV2";
  const changes = changesText(change.changes);
  return `${term}/${index} ${type}${changes === "" ? "" : ` ${changes}`}`;
}

export function entriesText(entries: readonly Entry[]): string {
  return entries.map((entry) => `${entryText(entry)}\n`).join("");
}

function hardStateText({ term, vote, commit }: HardState): string {
  return `Term:${term}${vote === 0 ? "" : ` Vote:${vote}`} Commit:${commit}`;
}

export function confStateText(state: ConfState): string {
  const list = (peers: readonly PeerId[]): string => `[${peers.join(" ")}]`;
  return (
    `Voters:${list(state.voters)} VotersOutgoing:${list(state.votersOutgoing)}` +
    ` Learners:${list(state.learners)} LearnersNext:${list(state.learnersNext)} AutoLeave:${state.autoLeave}`
  );
}

export function snapshotText({ index, term, configuration }: Snapshot): string {
  return `Index:${index} Term:${term} ConfState:${confStateText(configuration)}`;
}

export function messageText(message: Message, indent = ""): string {
  let text =
    `${indent}${target(message.from)}->${target(message.to)} ${messageNames[message.type]}` +
    ` Term:${message.term} Log:${message.logTerm}/${message.index}`;
  if (message.reject) text += ` Rejected (Hint: ${message.rejectHint})`;
  if (message.commit !== 0) text += ` Commit:${message.commit}`;
  if (message.vote !== 0) text += ` Vote:${message.vote}`;
  if (message.entries.length === 1) {
    text += ` Entries:[${entryText(message.entries[0] as Entry)}]`;
  } else if (message.entries.length > 1) {
    text += ` Entries:[${message.entries.map((entry) => `\n${indent}  ${entryText(entry)}`).join("")}\n${indent}]`;
  }
  const { snapshot, responses } = message;
  if (snapshot !== undefined && snapshot.index > 0) {
    text += `\n${indent}  Snapshot: ${snapshotText(snapshot)}`;
  }
  if (responses.length > 0) {
    text += ` Responses:[${responses.map((one) => `\n${messageText(one, `${indent}  `)}`).join("")}\n${indent}]`;
  }
  return text;
}

export function readyText(ready: Ready): string {
  let text = "";
  const { softState, hardState, readStates, entries, snapshot, committedEntries, messages } = ready;
  if (softState !== undefined) text += `Lead:${softState.leader} State:${roleName(softState.role)}\n`;
  if (hardState !== undefined) text += `HardState ${hardStateText(hardState)}\n`;
  if (readStates.length > 0) {
    text += `ReadStates [${readStates.map(({ index, context }) => `{${index} ${context}}`).join(" ")}]\n`;
  }
  if (entries.length > 0) text += `Entries:\n${entriesText(entries)}`;
  if (snapshot !== undefined && snapshot.index > 0) text += `Snapshot ${snapshotText(snapshot)}\n`;
  if (committedEntries.length > 0) text += `CommittedEntries:\n${entriesText(committedEntries)}`;
  if (messages.length > 0) text += `Messages:\n${messages.map((one) => `${messageText(one)}\n`).join("")}`;
  return text === "" ? "<empty Ready>" : `Ready MustSync=${ready.mustSync}:\n${text}`;
}

function majorityText(voters: ReadonlySet<PeerId>): string {
  return `(${[...voters].sort((a, b) => a - b).join(" ")})`;
}

export function configurationText(configuration: Configuration): string {
  const { incoming, outgoing, learners, learnersNext, autoLeave } = configuration;
  let text = `voters=${majorityText(incoming)}`;
  if (isJoint(configuration)) text += `&&${majorityText(outgoing)}`;
  if (learners.size > 0) text += ` learners=${majorityText(learners)}`;
  if (learnersNext.size > 0) text += ` learners_next=${majorityText(learnersNext)}`;
  return autoLeave ? `${text} autoleave` : text;
}

export function progressText(progress: Progress): string {
  let text = `${stateNames[progress.state]} match=${progress.match} next=${progress.next}`;
  if (progress.learner) text += " learner";
  if (progress.blocked) text += " paused";
  if (progress.pendingSnapshot > 0) text += ` pendingSnap=${progress.pendingSnapshot}`;
  if (!progress.active) text += " inactive";
  const { count, full } = progress.inflights;
  if (count > 0) text += ` inflight=${count}${full ? "[full]" : ""}`;
  return text;
}

export function progressMapText(progress: ReadonlyMap<PeerId, Progress>): string {
  return [...progress]
    .sort(([a], [b]) => a - b)
    .map(([peer, one]) => `${peer}: ${progressText(one)}\n`)
    .join("");
}
