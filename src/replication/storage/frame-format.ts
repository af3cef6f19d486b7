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
  checkFrame,
  checkLink,
  checkPayload,
  encodeDraft,
  endOfFrame,
  frameBytes,
  frameRecordCount,
  isDraft,
  type SegmentedLog,
  sealFrame,
} from "../../log/mod.ts";
import type { ConfChange, Entry, EntryFormat } from "../../raft/mod.ts";
import type { RaftIndex } from "../../types.ts";
import type { LogTime } from "../time/log-time.ts";
import { encodeChange } from "./entries.ts";

const noBytes = new Uint8Array(0);

export class FrameFormat implements EntryFormat {
  readonly #log: Pick<SegmentedLog, "endAt">;
  readonly #time: Pick<LogTime, "stampMs">;

  constructor(log: Pick<SegmentedLog, "endAt">, time: Pick<LogTime, "stampMs">) {
    this.#log = log;
    this.#time = time;
  }

  draft(change: ConfChange | undefined): Uint8Array {
    if (change === undefined) return encodeDraft({ recordCount: 0, kind: batchKind.noOp }, noBytes);
    return encodeDraft({ recordCount: 0, kind: batchKind.configuration }, encodeChange(change));
  }

  /** Seals drafts in place. The drafts of one call get the same time, which is not before that of the previous entry. */
  seal(entries: readonly Entry[], previous: Entry | undefined): void {
    let end: ChainEnd | undefined;
    let nowMs: number | undefined;
    for (const [at, { index, term, bytes }] of entries.entries()) {
      if (!isDraft(bytes, 0)) {
        end = undefined;
        continue;
      }
      end ??= this.#endBefore(index, at === 0 ? previous : entries[at - 1]);
      nowMs ??= this.#time.stampMs();
      const baseOffset = end.nextOffset;
      const timestampMs = Math.max(end.timestampMs, nowMs);
      const crc = sealFrame(bytes, 0, bytes.length, { index, term, baseOffset, timestampMs }, end.crc);
      end = { index, term, nextOffset: baseOffset + frameRecordCount(bytes, 0), timestampMs, crc };
    }
  }

  /** Returns the first flaw of a peer's entries, undefined if they are valid frames that form a chain. */
  check(entries: readonly Entry[]): string | undefined {
    let end: ChainEnd | undefined;
    for (const { bytes } of entries) {
      let flaw: string | undefined = checkFrame(bytes, 0, bytes.length) ?? checkPayload(bytes, 0);
      if (end !== undefined) flaw ??= checkLink(bytes, 0, end);
      if (flaw !== undefined) return flaw;
      if (frameBytes(bytes, 0) !== bytes.length) return "length";
      end = endOfFrame(bytes, 0);
    }
    return undefined;
  }

  /** Returns true if the entry continues the chain. True also if the previous entry cannot be read; see #readableEnd. */
  follows(first: Entry, previous: Entry | undefined): boolean {
    const end = previous === undefined ? this.#readableEnd(first.index - 1) : endOfFrame(previous.bytes, 0);
    return end === undefined || checkLink(first.bytes, 0, end) === undefined;
  }

  #endBefore(index: RaftIndex, previous: Entry | undefined): ChainEnd {
    return previous === undefined ? this.#log.endAt(index - 1) : endOfFrame(previous.bytes, 0);
  }

  /** The chain end after an entry; undefined if it cannot be read. The write that follows then reports the fault. */
  #readableEnd(index: RaftIndex): ChainEnd | undefined {
    try {
      return this.#log.endAt(index);
    } catch (reason) {
      if (reason instanceof Fault) return undefined;
      throw reason;
    }
  }
}
