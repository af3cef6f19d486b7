/**
 * Entries of Raft as frames of the log: the drafts of proposals, their sealing, and the check of what peers send.
 *
 *   draft    a whole frame but for its place (index, term, first offset, time) and its checksums
 *   sealed   the place and the checksums are written, in the same memory
 *
 * A frame that was sealed or checked here is not checked again: the log stages it as it is.
 */
import { Fault } from "../fault.ts";
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
} from "../log/mod.ts";
import type { ConfChange, Entry, EntryFormat } from "../raft/mod.ts";
import type { RaftIndex } from "../types.ts";
import { encodeChange } from "./entries.ts";
import type { LogTime } from "./time/log-time.ts";

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

  /** Drafts of one call get the same time: the clock is read once, and never set back behind the entry before. */
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

  follows(first: Entry, previous: Entry | undefined): boolean {
    const end = previous === undefined ? this.#readableEnd(first.index - 1) : endOfFrame(previous.bytes, 0);
    return end === undefined || checkLink(first.bytes, 0, end) === undefined;
  }

  #endBefore(index: RaftIndex, previous: Entry | undefined): ChainEnd {
    return previous === undefined ? this.#log.endAt(index - 1) : endOfFrame(previous.bytes, 0);
  }

  /** The end behind an entry; undefined when it cannot be read. The write that follows then says what is wrong. */
  #readableEnd(index: RaftIndex): ChainEnd | undefined {
    try {
      return this.#log.endAt(index);
    } catch (reason) {
      if (reason instanceof Fault) return undefined;
      throw reason;
    }
  }
}
