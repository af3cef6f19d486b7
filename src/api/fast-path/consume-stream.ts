/**
 * ConsumeStream and ConsumeBatches: follow the log and send whole slices at a time. A tail at the end of the log waits
 * for the log and costs nothing; when it wakes, it is flushed with all others in the next turn of the pacer. A client that
 * reads slowly delays no other client: its tail takes nothing from the log until the stream has window, the socket
 * accepts bytes, and the memory budget has capacity (methods/read-admission.ts).
 */
import { workTurns } from "../../lib/time/work-turns.ts";
import type { BatchSlice, Tail } from "../../types.ts";
import { frameLimit } from "../methods/frame-limit.ts";
import type { OpenedLog } from "../methods/logs/log-directory.ts";
import { planOf } from "../methods/messages.ts";
import { type OpenRead, openRead } from "../methods/read.ts";
import { mayRead, whenReadable } from "../methods/read-admission.ts";
import { noLimits, ReadLimit } from "../methods/read-limit.ts";
import type { ReadBuffers } from "./buffer-pool.ts";
import { decodeConsume } from "./consume.ts";
import type { FastCall } from "./fast-call.ts";
import type { FastPathContext, ServeMethod } from "./fast-path-context.ts";
import { render, renderWhole } from "./rendering.ts";
import { logIdField, logIdTags, markerResponse } from "./response-codec.ts";
import { receiveUnary } from "./unary-message.ts";

/** Bytes taken from the log at once. */
const sliceBytes = 256 * 1024;
/** Bytes that one tail writes in one turn, so that a reader far behind does not delay the others. */
const turnBytesMax = 1024 * 1024;
/** No slice is taken after so long in one turn: slices that come from a cold disk can be small and slow. */
const turnMsMax = 5;

/** The part of a slice that a client receives. */
interface Portion {
  readonly bytes: Uint8Array;
  readonly records: number;
  /** Bytes of records or of whole frames, as the log line and the traffic counters count them. */
  readonly payloadBytes: number;
  readonly next: number;
}

/** Selects and encodes what a client receives of a slice, from an offset on and up to a limit. */
type CutPortion = (
  slice: BatchSlice,
  from: number,
  limit: ReadLimit | undefined,
  logId: Uint8Array,
) => Portion;

export const consumeStream: ServeMethod = (context, call) => serveTail(context, call, cutRecords);
export const consumeBatches: ServeMethod = (context, call) => serveTail(context, call, cutFrames);

const cutRecords: CutPortion = (slice, from, limit, logId) => {
  const whole = limit === undefined && from <= slice.firstOffset;
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
    const request = decodeConsume(bytes.subarray(start, end));
    const plan = planOf(request, call.tracked.deadlineMs);
    const ended = new AbortController();
    call.onEnd = () => ended.abort();
    const begin = async (opened: OpenedLog): Promise<void> => {
      const { log } = opened;
      const read = await openRead(log, plan, ended.signal);
      const markers = request.markers && cut === cutRecords;
      if (call.over) read.tail[Symbol.dispose]();
      else new TailSender(context, call, read, cut, markers, opened).open();
    };
    const freshness = { ...plan.freshness, signal: ended.signal };
    const opening = context.logs.openFor(call.tracked, request, freshness);
    (opening instanceof Promise ? opening.then(begin) : begin(opening)).catch((reason: unknown) =>
      call.fail(reason),
    );
  });
}

class TailSender {
  readonly #context: FastPathContext;
  readonly #call: FastCall;
  readonly #tail: Tail;
  readonly #cut: CutPortion;
  readonly #markers: boolean;
  readonly #opened: OpenedLog;
  /** The encoded field log_id. */
  readonly #logId: Uint8Array;
  readonly #limit: ReadLimit;
  /** The read has a limit of records or bytes, so each record must be examined. */
  readonly #isCounted: boolean;
  readonly #endOffset: number;
  readonly #endsAtEnd: boolean;
  #next: number;
  /** Buffers to read frames into, while this reader is far behind and the pool has buffers. */
  #buffers: ReadBuffers | undefined;
  /** The client was sent "caught-up" after the last record. */
  #sentCaughtUp = false;
  #heartbeatTimer: { cancel(): void } | undefined;
  /** When the last marker was sent, or the stream began. */
  #markedMs: number;
  /** Cancels the wait for window or memory. */
  #stopWaiting: (() => void) | undefined;

  constructor(
    context: FastPathContext,
    call: FastCall,
    read: OpenRead,
    cut: CutPortion,
    markers: boolean,
    opened: OpenedLog,
  ) {
    this.#context = context;
    this.#call = call;
    this.#tail = read.tail;
    this.#cut = cut;
    this.#markers = markers;
    this.#opened = opened;
    this.#logId = logIdField(logIdTags.consume, opened.logId);
    const { recordsMax, bytesMax, endOffset } = read.limits;
    this.#limit = new ReadLimit(read.limits);
    this.#isCounted = recordsMax !== noLimits.recordsMax || bytesMax !== noLimits.bytesMax;
    this.#endOffset = endOffset ?? Number.POSITIVE_INFINITY;
    this.#endsAtEnd = read.endsAtEnd;
    this.#next = read.from;
    this.#markedMs = context.clock.monotonicMs();
  }

  open(): void {
    const { traffic } = this.#context;
    traffic.tails++;
    this.#call.onEnd = () => {
      traffic.tails--;
      this.#heartbeatTimer?.cancel();
      this.#stopWaiting?.();
      this.#tail[Symbol.dispose]();
      this.#buffers = this.#buffers?.release();
    };
    this.#call.response.begin();
    this.#flushInTurn();
  }

  /** Flushes now, or when the event loop has time for it: a hundred reads can begin in one turn. */
  #flushInTurn(): void {
    const turns = workTurns(this.#context.clock);
    if (turns.mayBegin()) this.flush();
    else turns.wait(() => this.flush());
  }

  /** Sends what the log holds, up to `turnBytesMax`. Then waits for the log, the socket or the next turn. */
  flush(): void {
    if (this.#call.over) return;
    try {
      this.#send();
    } catch (reason) {
      this.#call.fail(reason);
    }
  }

  #send(): void {
    const { memory, clock } = this.#context;
    const untilMs = clock.monotonicMs() + turnMsMax;
    let written = 0;
    while (this.#tail.position < this.#endOffset) {
      if (!mayRead(this.#call.stream, memory, this.#nextBytes)) {
        this.#waitToRead();
        return;
      }
      if (this.#isBeatDue) this.#sendHeartbeat();
      const slice = this.#tail.take(sliceBytes, this.#buffers?.next);
      if (slice === undefined) {
        this.#waitForLog();
        return;
      }
      const unlimited = !this.#isCounted && slice.nextOffset <= this.#endOffset;
      const limit = unlimited ? undefined : this.#limit;
      const isWritable = this.#sendPortion(this.#cut(slice, this.#next, limit, this.#logId));
      written += slice.frames.length;
      if (slice.frames.buffer !== this.#buffers?.next?.buffer) memory.addReadGarbage(slice.frames.length);
      if (this.#limit.isSpent) {
        this.#call.end();
        return;
      }
      const isOver = written >= turnBytesMax || clock.monotonicMs() >= untilMs;
      if (!isWritable || isOver || this.#buffers?.isFull === true) {
        this.#resumeLater(isWritable);
        return;
      }
    }
    if (this.#endsAtEnd) this.#sendCaughtUp();
    this.#call.end();
  }

  readonly #nextBytes = (): number => this.#tail.nextBytes?.() ?? 0;

  #waitToRead(): void {
    const { clock, memory } = this.#context;
    this.#buffers = this.#buffers?.release();
    this.#stopWaiting = whenReadable(this.#call.stream, memory, this.#nextBytes, () => {
      this.#stopWaiting = undefined;
      clock.soon(() => this.flush());
    });
  }

  /** Returns false if the stream must drain before the next write. */
  #sendPortion({ bytes, records, payloadBytes, next }: Portion): boolean {
    this.#next = next;
    this.#sentCaughtUp = false;
    this.#call.tracked.bytesOut += payloadBytes;
    this.#context.traffic.sent(records, payloadBytes);
    if (bytes.length === 0) return true;
    this.#buffers?.markSending(bytes);
    return this.#call.response.write(bytes);
  }

  #waitForLog(): void {
    this.#buffers = this.#buffers?.release();
    this.#sendCaughtUp();
    this.#scheduleHeartbeat();
    this.#tail
      .ready()
      .then((more) => {
        this.#heartbeatTimer?.cancel();
        this.#heartbeatTimer = undefined;
        if (!more) this.#call.end();
        else if (!this.#call.over) this.#context.pacer.schedule(this);
      })
      .catch((reason: unknown) => this.#call.fail(reason));
  }

  /** Continues behind the end of the log, after the other tails had their turn and the client took its bytes. */
  #resumeLater(isWritable: boolean): void {
    const { clock, buffers } = this.#context;
    const { stream } = this.#call;
    // A hundred readers that are far behind would take all of a turn for 100 ms.
    const flushSoon = (): void => workTurns(clock).wait(() => this.flush());
    if (this.#buffers?.isSending === true) {
      stream.whenSent(() => {
        this.#buffers?.markSent();
        flushSoon();
      });
    } else if (isWritable) {
      flushSoon();
    } else {
      stream.onDrain = () => {
        stream.onDrain = undefined;
        flushSoon();
      };
    }
    this.#buffers ??= buffers.borrow();
  }

  get #markerFields(): Uint8Array {
    const { logId, token } = this.#opened;
    return logIdField(logIdTags.consume, logId, token());
  }

  #sendCaughtUp(): void {
    if (!this.#markers || this.#sentCaughtUp) return;
    this.#sentCaughtUp = true;
    this.#markedMs = this.#context.clock.monotonicMs();
    this.#call.response.write(markerResponse("caught-up", this.#next, this.#markerFields));
  }

  #scheduleHeartbeat(): void {
    if (!this.#markers || this.#heartbeatTimer !== undefined) return;
    this.#heartbeatTimer = this.#context.clock.after(this.#context.heartbeatMs, () => {
      this.#heartbeatTimer = undefined;
      if (this.#call.over) return;
      if (this.#call.stream.writableBytes > 0) this.#sendHeartbeat();
      this.#scheduleHeartbeat();
    });
  }

  get #isBeatDue(): boolean {
    const { clock, heartbeatMs } = this.#context;
    if (!this.#markers || clock.monotonicMs() - this.#markedMs < heartbeatMs) return false;
    return this.#tail.position < (this.#tail.end ?? 0);
  }

  /** Also while the reader is behind: it learns how far. */
  #sendHeartbeat(): void {
    this.#markedMs = this.#context.clock.monotonicMs();
    const { end = this.#next } = this.#tail;
    this.#call.response.write(markerResponse("heartbeat", end, this.#markerFields));
  }
}
