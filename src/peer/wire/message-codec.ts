/**
 * Encodes and decodes Raft messages as peer frames. Pure.
 *
 *   head := [type from to term index logTerm commit vote reject rejectHint context]
 *           and for a snapshot one element more: [index term configuration]
 *   body := the entries of an append: frames of the log, one after another; or the data of a snapshot
 *
 * Index, term and configuration change of an entry are read from its frame and are not sent beside it. Entries are not
 * copied.
 *
 * A message is checked before Raft handles it, so that a flipped bit or a faulty peer ends a connection, not a node.
 * Checked here are the head, and that entries are consecutive and have possible terms; the data of a snapshot by checkSnapshot().
 * RaftNode.receive() checks the frames themselves: checksums, chain, records, commands.
 */
import { assert } from "../../lib/assert.ts";
import { checkExtent, checkStartRows, frameBytes, termMax } from "../../log/mod.ts";
import {
  type ConfState,
  type Entry,
  type Message,
  type MessageType,
  message,
  type Snapshot,
} from "../../raft/mod.ts";
import {
  entryOf,
  isConfiguration,
  isWhole,
  pack,
  unpackChecked,
  unpackStart,
} from "../../replication/mod.ts";
import {
  type EncodedPeerFrame,
  encodePeerFrame,
  malformed,
  type PeerFrame,
  type PeerFrameKind,
} from "./peer-frame.ts";

/** The types of messages that are sent to peers. The position of a type is its code on the wire. */
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
const headFields = 11;
/** Terms that a received term leaves free below the log's limit, for later elections of this node. */
const electionsMax = 0xffff;
/** Larger than the index of any log, and small enough that indexes stay exact as numbers. */
const indexMax = 2 ** 48;

/** @throws Fault "too-large" if the entries or the snapshot exceed the limit of a frame */
export function encodeMessage(message: Message): EncodedPeerFrame {
  const { type, from, to, term, index, logTerm, commit, vote, reject, rejectHint, context } = message;
  const code = codes.get(type);
  assert(code !== undefined, "this message is not sent to peers");
  const head = [code, from, to, term, index, logTerm, commit, vote, reject, rejectHint, context];
  if (type === "append") return encodePeerFrame("append", pack(head), entryBytes(message.entries));
  if (type !== "snapshot") return encodePeerFrame("message", pack(head));
  const { snapshot } = message;
  assert(snapshot !== undefined, "a snapshot message has a snapshot");
  const details = [snapshot.index, snapshot.term, snapshot.configuration];
  return encodePeerFrame("snapshot", pack([...head, details]), [snapshot.data]);
}

/** @throws Fault "bad-request" if the frame is not a valid Raft message */
export function decodeMessage({ kind, head, body }: PeerFrame): Message {
  const { value } = unpackChecked(head);
  if (!Array.isArray(value) || value.length !== headFields + (kind === "snapshot" ? 1 : 0))
    throw malformed("head");
  const [code, from, to, term, index, logTerm, commit, vote, reject, rejectHint, context, details] =
    value as unknown[];
  const numbers = [code, from, to, term, index, logTerm, commit, vote, rejectHint, context];
  if (!numbers.every(isWhole) || typeof reject !== "boolean") throw malformed("head");
  // Frames of the log have no room for a larger term.
  if ((term as number) > termMax - electionsMax || (logTerm as number) > termMax) throw malformed("head");
  if ([index, commit, rejectHint].some((value) => (value as number) > indexMax)) throw malformed("head");
  const type = types[code as number];
  if (type === undefined || frameKindOf(type) !== kind) throw malformed("head");
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
  const decoded = message(type, to as number, common);
  if (kind === "append") return { ...decoded, entries: entriesIn(body, decoded) };
  if (kind === "snapshot") {
    return { ...decoded, snapshot: { ...snapshotFields(details, decoded.term), data: body } };
  }
  return decoded;
}

const frameKindOf = (type: MessageType): PeerFrameKind =>
  type === "append" || type === "snapshot" ? type : "message";

/** The bytes of the entries. Entries that are adjacent in memory become one piece. */
function entryBytes(entries: readonly Entry[]): Uint8Array[] {
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

/** The entries of an append. Each one is a view of the body. */
function entriesIn(body: Uint8Array, { index, logTerm, term }: Message): Entry[] {
  const entries: Entry[] = [];
  let previous = { index, term: logTerm };
  for (let at = 0; at < body.length; ) {
    if (checkExtent(body, at, body.length) !== undefined) throw malformed("body");
    const end = at + frameBytes(body, at);
    const entry = entryIn(body.subarray(at, end));
    if (entry.index !== previous.index + 1) throw malformed("body");
    if (entry.term < previous.term || entry.term > term) throw malformed("body");
    entries.push(entry);
    previous = entry;
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

/**
 * The fields of a snapshot. Its term is not above that of the message: this node would lead with terms below that of its last
 * entry. Its data is checked by checkSnapshot().
 */
function snapshotFields(
  details: unknown,
  messageTerm: number,
): { index: number; term: number; configuration: ConfState } {
  const [index, term, configuration] = Array.isArray(details) ? (details as unknown[]) : [];
  if (!isWhole(index) || !isWhole(term) || !isConfiguration(configuration)) throw malformed("head");
  if (index > indexMax || term > messageTerm) throw malformed("head");
  return { index, term, configuration };
}

/**
 * Checks the data of a snapshot, in steps: the start of a log at the same index and term, its producers, and its rows of named logs.
 * It is not passed on before.
 * @throws Fault "bad-request"
 */
export function* checkSnapshot({ data, index, term }: Snapshot): Generator<void, void> {
  try {
    const start = yield* unpackStart(data);
    if (start.end.index !== index || start.end.term !== term) throw malformed("body");
    yield* checkStartRows(start);
  } catch (cause) {
    throw malformed("body", cause);
  }
}
