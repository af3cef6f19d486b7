/**
 * Where a segment ended before any damage: as its seal says, or as its index file and the headers of its frames say. A repair
 * compares this with what it keeps, to say what is lost.
 */
import { heapMapper } from "../../lib/disk/mapped-file.ts";
import type { LogId, Offset } from "../../types.ts";
import { defaultAfter } from "../frame/chain.ts";
import { decodeCursorCommand } from "../frame/cursor-command.ts";
import {
  type BatchKind,
  batchKind,
  batchRecordsMax,
  checkFrame,
  frameCommand,
  frameHeader,
  frameLogId,
  frameNextOffset,
  frameRecordCount,
  headerBytes,
} from "../frame/frame.ts";
import { decodeCreate } from "../frame/log-command.ts";
import { indexHeaderBytes } from "../index/index-file.ts";
import { entryBytes } from "../index/offset-index.ts";
import { firstOf, type SegmentMeta } from "../segment/segment.ts";
import type { SegmentFiles } from "../segment/segment-files.ts";
import { cursorRowName } from "../state/cursor-row.ts";

/** The ends of named logs after segments, by id; undefined: the log is deleted. */
export type KnownEnds = Map<LogId, KnownEnd | undefined>;

/** The end of a named log. Its name is known here if its create is. */
export interface KnownEnd {
  readonly next: Offset;
  readonly name: string | undefined;
}

interface ListedFrame {
  readonly bytes: Uint8Array;
  readonly position: number;
  /** The offset of `default` there. */
  readonly offset: Offset;
  /** The checksum is right, so the whole frame can be read, and not its header alone. */
  readonly isSound: boolean;
}

/** The next offset of `default` after a segment; 0 if nothing says it. */
export function knownNext(files: SegmentFiles, meta: SegmentMeta): Offset {
  if (meta.seal !== undefined) return meta.seal.nextOffset;
  for (const { bytes, position, offset } of listedFrames(files, meta, "from the last one"))
    return defaultAfter(bytes, position, offset);
  return 0;
}

/** Adds the ends of the named logs after a segment. */
export function addKnownEnds(ends: KnownEnds, files: SegmentFiles, meta: SegmentMeta): void {
  for (const { bytes, position, isSound } of listedFrames(files, meta, "from the first one")) {
    const id = frameLogId(bytes, position);
    if (id === 0) continue;
    const { kind } = frameHeader(bytes, position);
    const name = (isSound ? createdName(kind, bytes, position) : undefined) ?? ends.get(id)?.name;
    if (kind === batchKind.deleteLog) ends.set(id, undefined);
    else ends.set(id, { next: frameNextOffset(bytes, position), name });
  }
}

/** The name of the row that a frame creates. */
function createdName(kind: BatchKind, bytes: Uint8Array, at: number): string | undefined {
  if (kind === batchKind.createLog) return decodeCreate(frameCommand(bytes, at)).name;
  if (kind !== batchKind.commitCursor) return undefined;
  const { created } = decodeCursorCommand(frameCommand(bytes, at));
  return created === undefined ? undefined : cursorRowName(created.log, created.name);
}

/** The frames that the index file lists and whose headers are as it says. */
function* listedFrames(
  files: SegmentFiles,
  meta: SegmentMeta,
  order: "from the first one" | "from the last one",
): Generator<ListedFrame> {
  const { disk } = files;
  const indexPath = files.indexPath(firstOf(meta));
  const storePath = files.storePath(firstOf(meta));
  if (!disk.exists(indexPath) || !disk.exists(storePath)) return;
  const index = heapMapper(disk)(indexPath);
  const store = heapMapper(disk)(storePath);
  const bytes = store.copy(0, store.bytes);
  const entries = Math.max(0, Math.floor((index.bytes - indexHeaderBytes) / entryBytes));
  for (let n = 0; n < entries; n++) {
    const ordinal = order === "from the first one" ? n : entries - 1 - n;
    const at = indexHeaderBytes + entryBytes * ordinal;
    const position = index.u32(at + 4);
    const isSound = checkFrame(bytes, position, bytes.length) === undefined;
    const offset = meta.before.nextOffset + index.u32(at);
    const expected = { index: firstOf(meta) + ordinal, offset };
    if (isSound || hasHeaderOf(bytes, position, expected)) yield { bytes, position, offset, isSound };
  }
}

/** Returns true if the frame's header is that of the index entry, even if its records are damaged. */
function hasHeaderOf(
  bytes: Uint8Array,
  position: number,
  { index, offset }: { readonly index: number; readonly offset: Offset },
): boolean {
  if (position + headerBytes > bytes.length) return false;
  const found = frameHeader(bytes, position);
  const records = frameRecordCount(bytes, position);
  const fits = found.logId !== 0 || found.baseOffset === offset;
  return found.index === index && fits && records <= batchRecordsMax;
}
