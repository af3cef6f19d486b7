/** ConsumeStream and ConsumeBatches: follow one log. The records or frames are sent by the tail's sender (tail-sender.ts). */

import type { FilteredTail } from "../../../filter/mod.ts";
import { ConsumeRequestSchema } from "../../../gen/log/v1/log_pb.js";
import type { BatchSlice, Tail } from "../../../types.ts";
import { frameLimit } from "../../methods/frame-limit.ts";
import type { OpenedLog } from "../../methods/logs/log-directory.ts";
import { planOf } from "../../methods/messages.ts";
import { type OpenRead, openRead } from "../../methods/read.ts";
import { noLimits, ReadLimit } from "../../methods/read-limit.ts";
import { filteredRead, filterOf, refuseFilter } from "../../methods/tails/filtered-read.ts";
import { decodeMessage } from "../codec/decode-message.ts";
import { logIdField, logIdTags, markerResponse } from "../codec/response-codec.ts";
import type { FastCall } from "../fast-call.ts";
import type { FastPathContext, ServeMethod } from "../fast-path-context.ts";
import { receiveUnary } from "../unary-message.ts";
import { render, renderWhole } from "./rendering.ts";
import { type Marker, type Portion, type SentTail, sendTail } from "./tail-sender.ts";

/** Bytes taken from the log at once. */
const sliceBytes = 256 * 1024;

/** The part of a slice that a client receives, and the offset after it. */
type Cut = Omit<Portion, "frames"> & { readonly next: number };

/** Selects and encodes what a client receives of a slice, from an offset on and up to a limit. */
type CutPortion = (slice: BatchSlice, from: number, limit: ReadLimit | undefined, logId: Uint8Array) => Cut;

export const consumeStream: ServeMethod = (context, call) => serveTail(context, call, cutRecords);
export const consumeBatches: ServeMethod = (context, call) => serveTail(context, call, cutFrames);

const cutRecords: CutPortion = (slice, from, limit, logId) => {
  const whole = limit === undefined && slice.kept === undefined && from <= slice.firstOffset;
  const { envelopes, records, recordBytes, next } = whole
    ? renderWhole(slice, logId)
    : render(slice, from, limit, logId);
  return { bytes: envelopes, records, payloadBytes: recordBytes, next };
};

const cutFrames: CutPortion = (slice, from, limit) => {
  const { bytes, records, next } = frameLimit(slice, from, limit);
  return { bytes, records, payloadBytes: bytes.length, next };
};

function serveTail(context: FastPathContext, call: FastCall, cut: CutPortion): void {
  receiveUnary(call, context.requestBytesMax, (bytes, start, end) => {
    const request = decodeMessage(ConsumeRequestSchema, bytes.subarray(start, end));
    const plan = planOf(request, call.tracked.deadlineMs);
    if (cut === cutFrames) refuseFilter(request.filter, "ConsumeBatches");
    const markers = (request.markers || request.filter !== "") && cut === cutRecords;
    sendTail(context, call, async (signal) => {
      const opening = context.logs.openFor(call.tracked, request, { ...plan.freshness, signal });
      const opened = opening instanceof Promise ? await opening : opening;
      const filter = filterOf(request.filter);
      const read = filteredRead(await openRead(opened.log, plan, signal), filter, context);
      context.calls.beginTail(call.tracked, { of: read.tail });
      return new LogTail(read, opened, cut, markers);
    });
  });
}

class LogTail implements SentTail {
  readonly markers: boolean;
  readonly #tail: Tail;
  readonly #filtered: FilteredTail | undefined;
  readonly #opened: OpenedLog;
  readonly #cut: CutPortion;
  /** The encoded field log_id. */
  readonly #logId: Uint8Array;
  readonly #limit: ReadLimit;
  /** The read has a limit of records or bytes, so each record must be examined. */
  readonly #isCounted: boolean;
  readonly #endOffset: number;
  readonly #endsAtEnd: boolean;
  #next: number;

  constructor(read: OpenRead, opened: OpenedLog, cut: CutPortion, markers: boolean) {
    this.markers = markers;
    this.#tail = read.tail;
    this.#filtered = read.filtered;
    this.#opened = opened;
    this.#cut = cut;
    this.#logId = logIdField(logIdTags.consume, opened.logId);
    const { recordsMax, bytesMax, endOffset } = read.limits;
    this.#limit = new ReadLimit(read.limits);
    this.#isCounted = recordsMax !== noLimits.recordsMax || bytesMax !== noLimits.bytesMax;
    this.#endOffset = endOffset ?? Number.POSITIVE_INFINITY;
    this.#endsAtEnd = read.endsAtEnd;
    this.#next = read.from;
  }

  get isFiltered(): boolean {
    return this.#filtered !== undefined;
  }

  /** A server that does not know filters sends a record, or nothing. */
  get beginsWithBeat(): boolean {
    return this.isFiltered;
  }

  get usesBuffers(): boolean {
    return !this.isFiltered;
  }

  get ending(): SentTail["ending"] {
    if (this.#limit.isSpent) return "limit";
    if (this.#filtered?.isSuspended === true) return "suspended";
    if (this.#tail.position < this.#endOffset) return undefined;
    return this.#endsAtEnd ? "caught-up" : "end-offset";
  }

  get isBehind(): boolean {
    return this.#tail.position < (this.#tail.end ?? 0);
  }

  prepare(): Promise<void> | undefined {
    return this.#tail.prepare?.();
  }

  nextBytes(): number {
    return this.#tail.nextBytes?.() ?? 0;
  }

  take(buffer: Uint8Array | undefined): Portion | undefined {
    const slice = this.#tail.take(sliceBytes, buffer);
    if (slice === undefined) return undefined;
    const unlimited = !this.#isCounted && slice.nextOffset <= this.#endOffset;
    const { next, ...cut } = this.#cut(slice, this.#next, unlimited ? undefined : this.#limit, this.#logId);
    this.#next = next;
    return { ...cut, frames: slice.frames };
  }

  ready(): Promise<boolean> {
    return this.#tail.ready();
  }

  marker(marker: Marker): Uint8Array {
    const { logId, token } = this.#opened;
    const end = marker === "caught-up" ? this.#next : (this.#tail.end ?? this.#next);
    const filtered = this.#filtered && { next: this.#next, skipped: this.#filtered.skipped };
    return markerResponse(marker, end, logIdField(logIdTags.consume, logId, token()), filtered);
  }

  [Symbol.dispose](): void {
    this.#tail[Symbol.dispose]();
  }
}
