/**
 * Raft entries as log frames: the drafts of proposals, their sealing, and the check of a peer's frames.
 *
 *   draft    a whole frame without its header fields (index, term, first offset, time) and checksums
 *   sealed   header fields and checksums are written, in the same memory
 *
 * A frame that was sealed or checked here is not checked again: the log stages it as it is.
 */
import { Fault } from "../../fault.ts";
import {
  batchKind,
  type ChainEnd,
  type ChainLink,
  checkDefaultOffset,
  checkFrame,
  checkLink,
  checkPayload,
  defaultAfter,
  encodeDraft,
  endAfter,
  FrameSequence,
  frameBaseOffset,
  frameBytes,
  frameLogId,
  frameNextOffset,
  isDraft,
  linkOfFrame,
  type SegmentedLog,
  sealFrame,
  unknownOffset,
} from "../../log/mod.ts";
import type { ConfChange, Entry, EntryFormat } from "../../raft/mod.ts";
import type { RaftIndex } from "../../types.ts";
import type { LogTime } from "../time/log-time.ts";
import { encodeChange } from "./entries.ts";

const noBytes = new Uint8Array(0);

/** Entries that are not durable yet, by index. */
type Unstable = (index: RaftIndex) => Entry | undefined;

export class FrameFormat implements EntryFormat {
  readonly #log: Pick<SegmentedLog, "endAt" | "end" | "term" | "state">;
  readonly #time: Pick<LogTime, "stampMs">;

  constructor(log: Pick<SegmentedLog, "endAt" | "end" | "term" | "state">, time: Pick<LogTime, "stampMs">) {
    this.#log = log;
    this.#time = time;
  }

  draft(change: ConfChange | undefined): Uint8Array {
    if (change === undefined) return encodeDraft({ recordCount: 0, kind: batchKind.noOp }, noBytes);
    return encodeDraft({ recordCount: 0, kind: batchKind.configuration }, encodeChange(change));
  }

  /**
   * Seals drafts in place. The drafts of one call get the same time, which is not before that of the previous entry. A draft
   * of a named log has its base offset already.
   */
  seal(entries: readonly Entry[], unstable: Unstable): void {
    const from = entries.findIndex(({ bytes }) => isDraft(bytes, 0));
    if (from < 0) return;
    const first = entries[from]!.index;
    const end = this.#endBefore(first, (before) => entries[from - (first - before)] ?? unstable(before));
    const nowMs = this.#time.stampMs();
    let { crc, nextOffset, timestampMs } = end;
    for (let at = from; at < entries.length; at++) {
      const { index, term, bytes } = entries[at]!;
      if (isDraft(bytes, 0)) {
        timestampMs = Math.max(timestampMs, nowMs);
        const baseOffset = frameLogId(bytes, 0) === 0 ? nextOffset : frameBaseOffset(bytes, 0);
        crc = sealFrame(bytes, 0, bytes.length, { index, term, baseOffset, timestampMs }, crc);
      } else {
        ({ crc, timestampMs } = linkOfFrame(bytes, 0));
      }
      nextOffset = defaultAfter(bytes, 0, nextOffset);
    }
  }

  /** Returns the first flaw of a peer's entries, undefined if they are valid frames that form a chain. */
  check(entries: readonly Entry[]): string | undefined {
    let end: ChainEnd | undefined;
    for (const { bytes } of entries) {
      let flaw: string | undefined = checkFrame(bytes, 0, bytes.length) ?? checkPayload(bytes, 0);
      if (end !== undefined) flaw ??= checkLink(bytes, 0, end) ?? checkDefaultOffset(bytes, 0, end);
      if (flaw !== undefined) return flaw;
      if (frameBytes(bytes, 0) !== bytes.length) return "length";
      end = endAfter(end ?? { nextOffset: unknownOffset }, bytes, 0);
    }
    return undefined;
  }

  /**
   * Returns true if the entries continue the chain, and the offsets of their logs. True also if the entry before them cannot
   * be read; see #readableEnd.
   */
  follows(entries: readonly Entry[], unstable: Unstable): boolean {
    const [first] = entries;
    if (first === undefined) return true;
    let from = first.index;
    while (this.#isUnstaged(unstable(from - 1))) from--;
    const end = this.#readableEnd(from - 1);
    if (end === undefined) return true;
    const sequence = new FrameSequence(this.#log.state.logs, end.index, end.nextOffset);
    let link: ChainLink = end;
    for (; from < first.index; from++) {
      const { bytes } = unstable(from)!;
      sequence.add(bytes, 0);
      link = linkOfFrame(bytes, 0);
    }
    if (checkLink(first.bytes, 0, link) !== undefined) return false;
    return entries.every(({ bytes }) => sequence.add(bytes, 0) === undefined);
  }

  /** Returns true for an entry that the log does not have yet. */
  #isUnstaged(entry: Entry | undefined): boolean {
    if (entry === undefined) return false;
    return entry.index > this.#log.end.index || this.#log.term(entry.index) !== entry.term;
  }

  /** The end of the log before `index`. Frames of named logs do not hold the next offset of `default`. */
  #endBefore(index: RaftIndex, unstable: Unstable): ChainEnd {
    const last = unstable(index - 1);
    if (last === undefined) return this.#log.endAt(index - 1);
    let at = index - 1;
    let entry: Entry | undefined = last;
    while (entry !== undefined && frameLogId(entry.bytes, 0) !== 0) entry = unstable(--at);
    const nextOffset = entry === undefined ? this.#log.endAt(at).nextOffset : frameNextOffset(entry.bytes, 0);
    return { ...linkOfFrame(last.bytes, 0), nextOffset };
  }

  /** The end of the log at an index; undefined if it cannot be read. The write that follows then reports the fault. */
  #readableEnd(index: RaftIndex): ChainEnd | undefined {
    try {
      return this.#log.endAt(index);
    } catch (reason) {
      if (reason instanceof Fault) return undefined;
      throw reason;
    }
  }
}
