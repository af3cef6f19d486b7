/**
 * ConsumeStream and ConsumeBatches: follow the log and write what is there, whole slices at a time. At the end a tail
 * waits for the log and costs nothing; woken, it flushes with all the others in the pacer's next turn. A client that
 * reads slowly holds up no other: its tail takes nothing from the log until the stream has window again, the socket
 * takes bytes, and the memory budget has room (read-admission.ts).
 */
import type { BatchSlice, Tail } from "../../types.ts";
import { frameLimit } from "../methods/frame-limit.ts";
import { planOf } from "../methods/messages.ts";
import { type OpenRead, openRead } from "../methods/read.ts";
import { mayRead, whenReadable } from "../methods/read-admission.ts";
import { noLimits, ReadLimit } from "../methods/read-limit.ts";
import type { ReadRooms } from "./buffer-pool.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import { decodeConsume } from "./consume.ts";
import type { ExpressCall } from "./fast-call.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import type { Lane, Serve } from "./fast-path.ts";
import { render, renderWhole } from "./rendering.ts";
import { markerResponse } from "./response-codec.ts";
import { readUnary } from "./unary-body.ts";

/** Taken from the log at once. */
const sliceBytes = 256 * 1024;
/** Written by one tail in one turn, so that a reader far behind does not hold up the others. */
const turnBytesMax = 1024 * 1024;

/** What of a slice is to be sent. */
interface Portion {
  readonly bytes: Uint8Array;
  readonly records: number;
  /** Of records, or of whole frames: what the call's line and the traffic count. */
  readonly payloadBytes: number;
  readonly next: number;
}

type Cut = (slice: BatchSlice, from: number, limit: ReadLimit | undefined) => Portion;

export const consumeStream: Serve = (lane, express) => serve(lane, express, records);
export const consumeBatches: Serve = (lane, express) => serve(lane, express, batches);

const records: Cut = (slice, from, limit) => {
  const whole = limit === undefined && from <= slice.firstOffset;
  const rendering = whole ? renderWhole(slice) : render(slice, from, limit);
  return { ...rendering, bytes: rendering.envelopes, payloadBytes: rendering.bytes };
};

const batches: Cut = (slice, from, limit) => {
  const run = frameLimit(slice, from, limit);
  return { ...run, payloadBytes: run.bytes.length };
};

function serve(lane: Lane, express: ExpressCall, cut: Cut): void {
  readUnary(express, lane.requestBytesMax, (bytes, start, end) => {
    const request = decodeConsume(bytes.subarray(start, end));
    const plan = planOf(request, express.call.deadlineMs);
    const ended = new AbortController();
    express.onEnd = () => ended.abort();
    openRead(lane.log, plan, ended.signal)
      .then((read) => {
        const markers = request.markers && cut === records;
        if (express.over) read.tail[Symbol.dispose]();
        else new Follower(lane, express, read, cut, markers).open();
      })
      .catch((reason: unknown) => express.fail(reason));
  });
}

class Follower {
  readonly #lane: Lane;
  readonly #express: ExpressCall;
  readonly #tail: Tail;
  readonly #cut: Cut;
  readonly #markers: boolean;
  readonly #limit: ReadLimit;
  /** The limit is of records or bytes, so each one has to be looked at. */
  readonly #counts: boolean;
  readonly #endOffset: number;
  readonly #endsAtEnd: boolean;
  #next: number;
  /** Where frames are read to from the disk, while this is far behind and not too many others are. */
  #rooms: ReadRooms | undefined;
  /** Told that it has caught up, since the last record. */
  #told = false;
  #heartbeatAt: { cancel(): void } | undefined;
  /** Takes back that it waits for window or memory. */
  #stopWaiting: (() => void) | undefined;

  constructor(lane: Lane, express: ExpressCall, read: OpenRead, cut: Cut, markers: boolean) {
    this.#lane = lane;
    this.#express = express;
    this.#tail = read.tail;
    this.#cut = cut;
    this.#markers = markers;
    const { recordsMax, bytesMax, endOffset } = read.limits;
    this.#limit = new ReadLimit(read.limits);
    this.#counts = recordsMax !== noLimits.recordsMax || bytesMax !== noLimits.bytesMax;
    this.#endOffset = endOffset ?? Number.POSITIVE_INFINITY;
    this.#endsAtEnd = read.endsAtEnd;
    this.#next = read.from;
  }

  open(): void {
    const { traffic } = this.#lane;
    traffic.tails++;
    this.#express.onEnd = () => {
      traffic.tails--;
      this.#heartbeatAt?.cancel();
      this.#stopWaiting?.();
      this.#tail[Symbol.dispose]();
      this.#rooms = this.#rooms?.giveBack();
    };
    this.#express.answer.begin();
    this.flush();
  }

  /** Sends what is there, up to a turn's share; then waits for the log, the socket or its next turn. */
  flush(): void {
    if (this.#express.over) return;
    try {
      this.#send();
    } catch (reason) {
      this.#express.fail(reason);
    }
  }

  #send(): void {
    let written = 0;
    while (this.#tail.position < this.#endOffset) {
      if (!mayRead(this.#express.stream, this.#lane.held, this.#nextBytes)) {
        this.#waitToRead();
        return;
      }
      const slice = this.#tail.take(sliceBytes, this.#rooms?.room);
      if (slice === undefined) {
        this.#rest();
        return;
      }
      const within = !this.#counts && slice.nextOffset <= this.#endOffset;
      const room = this.#sendPortion(this.#cut(slice, this.#next, within ? undefined : this.#limit));
      written += slice.frames.length;
      if (slice.frames.buffer !== this.#rooms?.room?.buffer) this.#lane.held.spend(slice.frames.length);
      if (this.#limit.isSpent) {
        this.#express.end();
        return;
      }
      if (!room || written >= turnBytesMax || this.#rooms?.isFull === true) {
        this.#resumeLater(room);
        return;
      }
    }
    if (this.#endsAtEnd) this.#tellCaughtUp();
    this.#express.end();
  }

  readonly #nextBytes = (): number => this.#tail.nextBytes?.() ?? 0;

  #waitToRead(): void {
    const { clock, held } = this.#lane;
    this.#rooms = this.#rooms?.giveBack();
    this.#stopWaiting = whenReadable(this.#express.stream, held, this.#nextBytes, () => {
      this.#stopWaiting = undefined;
      clock.soon(() => this.flush());
    });
  }

  /** False when the stream wants to drain first. */
  #sendPortion({ bytes, records: count, payloadBytes, next }: Portion): boolean {
    this.#next = next;
    this.#told = false;
    this.#express.call.bytesOut += payloadBytes;
    this.#lane.traffic.sent(count, payloadBytes);
    if (bytes.length === 0) return true;
    this.#rooms?.sending(bytes);
    return this.#express.answer.write(bytes);
  }

  #rest(): void {
    this.#rooms = this.#rooms?.giveBack();
    this.#tellCaughtUp();
    this.#scheduleHeartbeat();
    this.#tail
      .ready()
      .then((more) => {
        this.#heartbeatAt?.cancel();
        this.#heartbeatAt = undefined;
        if (more) this.#mark();
        else this.#express.end();
      })
      .catch((reason: unknown) => this.#express.fail(reason));
  }

  /** At the end of the log: flushes with all others that were woken. */
  #mark(): void {
    if (!this.#express.over) this.#lane.pacer.mark(this);
  }

  /** Behind the end of the log: goes on as soon as the others have had their turn, and the client its bytes. */
  #resumeLater(room: boolean): void {
    const { clock, rooms } = this.#lane;
    const { stream } = this.#express;
    const goOn = (): void => clock.soon(() => this.flush());
    if (this.#rooms?.isSending === true) {
      stream.whenSent(() => {
        this.#rooms?.sent();
        goOn();
      });
    } else if (room) {
      goOn();
    } else {
      stream.onDrain = () => {
        stream.onDrain = undefined;
        goOn();
      };
    }
    this.#rooms ??= rooms.borrow();
  }

  #tellCaughtUp(): void {
    if (!this.#markers || this.#told) return;
    this.#told = true;
    this.#express.answer.write(markerResponse("caught-up", this.#next));
  }

  #scheduleHeartbeat(): void {
    if (!this.#markers || this.#heartbeatAt !== undefined) return;
    this.#heartbeatAt = this.#lane.clock.after(this.#lane.heartbeatMs, () => {
      this.#heartbeatAt = undefined;
      if (this.#express.over) return;
      if (this.#express.stream.room > 0) {
        this.#express.answer.write(markerResponse("heartbeat", this.#next));
      }
      this.#scheduleHeartbeat();
    });
  }
}
