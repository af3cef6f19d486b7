/**
 * A segment: one store file and its index. Sealed segments are read-only; the last one is active and is written at its
 * end.
 */
import { Fault } from "../../fault.ts";
import { type DiskFile, errorCode, troubleOf } from "../../lib/disk/disk.ts";
import type { LogId, Offset, RaftIndex, SegmentDescription } from "../../types.ts";
import type { ChainEnd } from "../frame/chain.ts";
import type { SealFacts } from "../index/index-file.ts";
import type { LogBatches } from "../index/log-index.ts";
import type { IndexBase, OffsetIndex } from "../index/offset-index.ts";
import { diskFault } from "./disk-fault.ts";

/** The settled frames of a store, and their bytes. */
export interface SettledFrames {
  readonly frames: number;
  readonly bytes: number;
}

/** What the catalog holds of a segment. */
export interface SegmentMeta {
  /** The end of the log before the segment: its first frame follows this. */
  readonly before: ChainEnd;
  /** Timestamp of its first batch. */
  readonly baseTimestampMs: number;
  /** Undefined for the active segment. */
  readonly seal: SealFacts | undefined;
  /** Batches of named logs in a sealed segment. Absent if there are none. */
  readonly namedBatches?: number;
  /** Their bytes. Absent if there are none. */
  readonly namedBytes?: number;
  /** What settling made of the store (SETTLING.md). Absent if it did nothing yet. */
  readonly settled?: SettledFrames;
  /** False if no frame of a sealed segment is about a named log. Absent if that is not known. */
  readonly namesLogs?: boolean;
}

/** The index of the segment's first batch, which names its files. */
export const firstOf = (meta: SegmentMeta): RaftIndex => meta.before.index + 1;
export const baseOf = (meta: SegmentMeta): IndexBase => ({
  index: firstOf(meta),
  offset: meta.before.nextOffset,
  timestampMs: meta.baseTimestampMs,
});

/** A segment that would begin after `end`. `firstOffset` is the offset of the first record of an empty log. */
export const metaAfter = (end: ChainEnd, firstOffset: Offset, baseTimestampMs: number): SegmentMeta => ({
  before: end.index === 0 ? { ...end, nextOffset: firstOffset } : end,
  baseTimestampMs,
  seal: undefined,
});

/** What readers need of a segment, sealed or active. */
export interface Segment {
  readonly first: RaftIndex;
  readonly baseOffset: Offset;
  readonly bytes: number;
  readonly nextOffset: Offset;
  readonly path: string;
  /** The settled frames of an active segment, received or restored. Undefined if there are none. That of a sealed one is in its meta. */
  readonly settled?: SettledFrames | undefined;
  /**
   * Runs a lookup in the index. A damaged index is rebuilt first.
   * @throws Fault "corrupt" if the store is damaged too
   */
  lookup<T>(find: (index: OffsetIndex) => T): T;
  /**
   * The batches of a named log in the segment; undefined if there are none. A damaged log index is rebuilt first.
   * @throws Fault "corrupt" if the store is damaged too
   */
  batchesOf(id: LogId): LogBatches | undefined;
  /**
   * Rebuilds a log index that is missing, or damaged where it is about the log `id`, for some steps of it: 4 KiB of the store each.
   * Without `id`: damaged anywhere. Returns true once batchesOf(), and without `id` also logIds(), has nothing to rebuild.
   * @throws Fault "corrupt" if the store is damaged too
   */
  prepareLogs(stepsMax: number, id?: LogId): boolean;
  /** Hint: the log index is looked into soon, for a log whose entries are about there in it (see LogBatches). */
  willReadLogs(share: number | undefined): void;
  /** The named logs that have batches in the segment. */
  logIds(): Iterable<LogId>;
  /** Reads from the store. @throws Fault "corrupt" for bytes that cannot be read, Fault "disk-busy" */
  read(target: Uint8Array, position: number): number;
  /** Hint: these bytes of the store are read soon. */
  willRead(position: number, bytes: number): void;
  describe(): SegmentDescription;
  /** Reports damage in the store. Returns Fault "corrupt" for the reader. */
  damaged(position: number, why: string): Fault;
}

/** @throws Fault "corrupt" for bytes that cannot be read, Fault "disk-busy" */
export function readStore(segment: Segment, store: DiskFile, target: Uint8Array, position: number): number {
  try {
    return store.read(target, position);
  } catch (reason) {
    throw unreadable(segment, reason, position);
  }
}

/** Returns what to throw if the disk does not read. Bytes that cannot be read are damage, like wrong bytes. */
export function unreadable(segment: Segment, reason: unknown, position: number): unknown {
  const code = errorCode(reason);
  if (reason instanceof Fault || code === "") return reason;
  if (code === "ENOENT") return segment.damaged(0, "missing");
  if (troubleOf(reason) === "busy") return diskFault(reason);
  return segment.damaged(position, "unreadable");
}
