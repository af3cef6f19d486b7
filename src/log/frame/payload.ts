/**
 * Checks the payload of a frame: every record of a data batch, the command of another one. Pure.
 *
 * A checksum proves that the bytes are as they were written, not that a correct program wrote them. After this check every
 * reader can walk the payload: each record and each field ends where its length says, inside the frame.
 */
import { Fault } from "../../fault.ts";
import { readVarint, varintEnd } from "../../lib/bytes.ts";
import { decodeSettings, decodeTrim } from "./command.ts";
import { decodeCursorCommand } from "./cursor-command.ts";
import {
  afterProducer,
  type BatchKind,
  batchKind,
  batchRecordsMax,
  commandTag,
  frameBytes,
  frameBytesMax,
  frameCommand,
  frameKind,
  frameLogId,
  framePayload,
  frameRecordCount,
} from "./frame.ts";
import { decodeConfigure, decodeCreate, decodeDelete, decodeLevel, decodeLogTrim } from "./log-command.ts";
import { type RecordLimits, type Walk, walkElements } from "./record-walk.ts";
import { decodeStreamCommand } from "./stream-command.ts";

/** "records": a record is malformed, or their number is not that of the header. "command": the command is malformed. */
export type PayloadFlaw = "records" | "command";

const limits: RecordLimits = { recordBytesMax: frameBytesMax, recordsMax: batchRecordsMax };
const walk: Walk = { end: 0, count: 0, asIs: true };

/** Checks the payload of the frame at `at`, which passed checkFrame(). Returns undefined if it is well-formed. */
export function checkPayload(bytes: Uint8Array, at: number): PayloadFlaw | undefined {
  const end = at + frameBytes(bytes, at);
  try {
    if (frameKind(bytes, at) === batchKind.data) return checkRecords(bytes, at, end);
    // checkFrame() has looked at all of it.
    if (frameKind(bytes, at) === batchKind.settled) return undefined;
    return checkCommand(bytes, at, end);
  } catch (reason) {
    if (!(reason instanceof Fault)) throw reason;
    return frameKind(bytes, at) === batchKind.data ? "records" : "command";
  }
}

/** Stored records hold only the fields 1, 5 and 6, so there is nothing that the walk would strip. */
function checkRecords(bytes: Uint8Array, at: number, end: number): PayloadFlaw | undefined {
  const from = afterProducer(bytes, at);
  if (from < end && bytes[from] === commandTag) {
    const body = varintEnd(bytes, from + 1, end);
    const length = readVarint(bytes, from + 1, end);
    if (body < 0 || length <= 0 || length > end - body || frameLogId(bytes, at) === 0) return "command";
    decodeStreamCommand(frameCommand(bytes, at));
  }
  walkElements(bytes, framePayload(bytes, at), end, limits, walk);
  const sound = walk.end === end && walk.count === frameRecordCount(bytes, at) && walk.asIs;
  return sound ? undefined : "records";
}

function checkCommand(bytes: Uint8Array, at: number, end: number): PayloadFlaw | undefined {
  const from = framePayload(bytes, at);
  if (from < end) {
    const body = varintEnd(bytes, from + 1, end);
    if (bytes[from] !== commandTag || body < 0 || readVarint(bytes, from + 1, end) !== end - body)
      return "command";
  }
  const kind = frameKind(bytes, at);
  decodeCommand[kind]?.(frameCommand(bytes, at));
  return isCommandOfNamedLog(kind) === (frameLogId(bytes, at) !== 0) ? undefined : "command";
}

const decodeCommand: Partial<Record<BatchKind, (command: Uint8Array) => unknown>> = {
  [batchKind.trim]: decodeTrim,
  [batchKind.settings]: decodeSettings,
  [batchKind.level]: decodeLevel,
  [batchKind.createLog]: decodeCreate,
  [batchKind.configureLog]: decodeConfigure,
  [batchKind.closeLog]: (command) => (command.length === 0 ? undefined : decodeStreamCommand(command)),
  [batchKind.deleteLog]: decodeDelete,
  [batchKind.hideLog]: decodeDelete,
  [batchKind.trimLog]: decodeLogTrim,
  [batchKind.commitCursor]: decodeCursorCommand,
};

const isCommandOfNamedLog = (kind: BatchKind): boolean =>
  (kind >= batchKind.createLog && kind <= batchKind.trimLog) || kind >= batchKind.touchLog;
