/**
 * Raft's messages as frames, and back. Pure.
 *
 *   head := [type from to term index logTerm commit vote reject rejectHint context]   and, of a snapshot,
 *           its [index term configuration]
 *   body := an append's entries: frames of the log, one after another; a snapshot's data
 *
 * Index, term and change of an entry are read from its frame and are not sent beside it. Entries are not copied.
 *
 * What arrives is checked before Raft handles it, so a flipped bit or a peer that writes wrong frames ends a connection
 * and not a node. Here: the head, that entries are consecutive and of possible terms, a snapshot's data. The frames
 * themselves (checksums, chain, records, commands) are checked by RaftNode.receive().
 */
import { assert } from "../../lib/assert.ts";
import { checkExtent, checkLogStart, frameBytes, type LogStart, termMax } from "../../log/mod.ts";
import { type ConfState, type Entry, type Message, type MessageType, message } from "../../raft/mod.ts";
import { entryOf, isConfiguration, isWhole, pack, unpackChecked } from "../../replication/mod.ts";
import { type EncodedPeerFrame, encodePeerFrame, malformed, type PeerFrame } from "./peer-frame.ts";

/** The messages that travel, by their number on the wire. */
const types: readonly MessageType[] = [
  "append",
  "append-response",
  "vote",
  "vote-response",
  "pre-vote",
  "pre-vote-response",
  "snapshot",
  "heartbeat",
  "heartbeat-response",
  "transfer-leader",
  "timeout-now",
  "read-index",
  "read-index-response",
];
const codes = new Map(types.map((type, code) => [type, code]));
const fields = 11;
/** Room above the highest term that is taken from a peer, for this node's own elections. */
const electionsMax = 0xffff;
/** Beyond any log, and below where whole numbers lose their last digit. */
const indexMax = 2 ** 48;

/** Throws Fault "too-large" for a snapshot beyond what a frame may hold. */
export function encodeMessage(message: Message): EncodedPeerFrame {
  const { type, from, to, term, index, logTerm, commit, vote, reject, rejectHint, context } = message;
  const code = codes.get(type);
  assert(code !== undefined, "a message that stays at home");
  const head = [code, from, to, term, index, logTerm, commit, vote, reject, rejectHint, context];
  if (type === "append") return encodePeerFrame("append", pack(head), joined(message.entries));
  if (type !== "snapshot") return encodePeerFrame("message", pack(head));
  const { snapshot } = message;
  assert(snapshot !== undefined, "a snapshot message without one");
  const about = [snapshot.index, snapshot.term, snapshot.configuration];
  return encodePeerFrame("snapshot", pack([...head, about]), [snapshot.data]);
}

/** Throws Fault "bad-request" for what is no message of Raft. */
export function decodeMessage({ kind, head, body }: PeerFrame): Message {
  const { value } = unpackChecked(head);
  if (!Array.isArray(value) || value.length !== fields + (kind === "snapshot" ? 1 : 0))
    throw malformed("head");
  const [code, from, to, term, index, logTerm, commit, vote, reject, rejectHint, context, about] =
    value as unknown[];
  const numbers = [code, from, to, term, index, logTerm, commit, vote, rejectHint, context];
  if (!numbers.every(isWhole) || typeof reject !== "boolean") throw malformed("head");
  // A log has no room for a larger term, and no cluster holds so many elections.
  if ((term as number) > termMax - electionsMax || (logTerm as number) > termMax) throw malformed("head");
  if ([index, commit, rejectHint].some((place) => (place as number) > indexMax)) throw malformed("head");
  const type = types[code as number];
  if (type === undefined || kindOf(type) !== kind) throw malformed("head");
  const common = {
    from,
    term,
    index,
    logTerm,
    commit,
    vote,
    reject,
    rejectHint,
    context,
  } as Partial<Message>;
  const made = message(type, to as number, common);
  if (kind === "append") return { ...made, entries: entriesIn(body, made) };
  if (kind === "snapshot") return { ...made, snapshot: { ...snapshotHead(about, body), data: body } };
  return made;
}

const kindOf = (type: MessageType): string => (type === "append" || type === "snapshot" ? type : "message");

/** The entries' bytes, neighbours in one memory as one piece. */
function joined(entries: readonly Entry[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let piece: Uint8Array | undefined;
  for (const { bytes } of entries) {
    if (piece?.buffer === bytes.buffer && piece.byteOffset + piece.length === bytes.byteOffset) {
      piece = new Uint8Array(piece.buffer, piece.byteOffset, piece.length + bytes.length);
      pieces[pieces.length - 1] = piece;
    } else {
      piece = bytes;
      pieces.push(piece);
    }
  }
  return pieces;
}

/** The entries of an append, each a view of its body. */
function entriesIn(body: Uint8Array, { index, logTerm, term }: Message): Entry[] {
  const entries: Entry[] = [];
  let behind = { index, term: logTerm };
  for (let at = 0; at < body.length; ) {
    if (checkExtent(body, at, body.length) !== undefined) throw malformed("body");
    const end = at + frameBytes(body, at);
    const entry = entryIn(body.subarray(at, end));
    if (entry.index !== behind.index + 1) throw malformed("body");
    if (entry.term < behind.term || entry.term > term) throw malformed("body");
    entries.push(entry);
    behind = entry;
    at = end;
  }
  return entries;
}

function entryIn(frame: Uint8Array): Entry {
  try {
    return entryOf(frame);
  } catch (cause) {
    throw malformed("body", cause);
  }
}

/** The head of a snapshot, whose data is the start of a log behind the same index and term. */
function snapshotHead(
  about: unknown,
  data: Uint8Array,
): { index: number; term: number; configuration: ConfState } {
  const [index, term, configuration] = Array.isArray(about) ? (about as unknown[]) : [];
  if (!isWhole(index) || !isWhole(term) || !isConfiguration(configuration)) throw malformed("head");
  const { end } = startIn(data);
  if (end.index !== index || end.term !== term) throw malformed("body");
  return { index, term, configuration };
}

function startIn(data: Uint8Array): LogStart {
  try {
    return checkLogStart(unpackChecked(data).value);
  } catch (cause) {
    throw malformed("body", cause);
  }
}
