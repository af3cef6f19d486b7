/**
 * Sends what a tail takes from the log (ConsumeStream, ConsumeBatches, TailLogs), whole slices at a time. A tail at the end of
 * the log waits for the log and costs nothing; when it wakes, it is flushed with all others in the next turn of the pacer.
 * A client that reads slowly delays no other client: its tail takes nothing from the log until the stream has window, the
 * socket accepts bytes, and the memory budget has capacity (methods/read-admission.ts).
 */
import { workTurns } from "../../../lib/time/work-turns.ts";
import { mayRead, whenReadable } from "../../methods/read-admission.ts";
import { markerMs } from "../../methods/tails/filtered-read.ts";
import type { ReadBuffers } from "../buffer-pool.ts";
import type { FastCall } from "../fast-call.ts";
import type { FastPathContext } from "../fast-path-context.ts";
import { SmallWrites } from "./small-writes.ts";

/** Bytes that one tail takes in one turn, so that a reader far behind does not delay the others. */
const turnBytesMax = 1024 * 1024;
/** No slice is taken after so long in one turn: slices that come from a cold disk can be small and slow. */
const turnMsMax = 5;

/** What take() returned, encoded. */
export interface Portion {
  readonly bytes: Uint8Array;
  readonly records: number;
  /** Bytes of records or of whole frames, as the log line and the traffic counters count them. */
  readonly payloadBytes: number;
  /** The frames from which it was encoded. */
  readonly frames: Uint8Array;
}

/** "suspended" is the last one: the filter has used its time. */
export type Marker = "caught-up" | "heartbeat" | "suspended";

/** A tail as its sender uses it. It takes from the log and encodes. The sender disposes of it. */
export interface SentTail extends Disposable {
  /** The client gets markers. */
  readonly markers: boolean;
  /** A heartbeat is the first response. */
  readonly beginsWithBeat: boolean;
  /** Records that do not match are left out. The client learns its position every second then. */
  readonly isFiltered: boolean;
  /** take() can read into a buffer. */
  readonly usesBuffers: boolean;
  /** Why nothing more is to be taken. Undefined: there may be more. */
  readonly ending: "limit" | "end-offset" | "caught-up" | "suspended" | undefined;
  /** Not everything that is committed was taken. */
  readonly isBehind: boolean;
  /** Finds what take() begins with, in turns of the event loop. Undefined if take() finds it at once. See Tail. */
  prepare?(): Promise<void> | undefined;
  /** About the size of what take() takes, in bytes; 0 if unknown. */
  nextBytes(): number;
  /**
   * Takes what can be read now. "later": there may be more, call again in another turn. Undefined: all is taken.
   * @throws what ends the tail
   */
  take(buffer: Uint8Array | undefined): Portion | "later" | undefined;
  /** Resolves to true when there is more, to false if there will be no more. */
  ready(): Promise<boolean>;
  /** The encoded marker. */
  marker(marker: Marker): Uint8Array;
}

/** Opens a tail for the call and sends it. The signal is aborted if the call ends before. */
export function sendTail(
  context: FastPathContext,
  call: FastCall,
  open: (signal: AbortSignal) => Promise<SentTail>,
): void {
  const ended = new AbortController();
  call.onEnd = () => ended.abort();
  open(ended.signal)
    .then((tail) => {
      if (call.over) tail[Symbol.dispose]();
      else new TailSender(context, call, tail).open();
    })
    .catch((reason: unknown) => call.fail(reason));
}

class TailSender {
  readonly #context: FastPathContext;
  readonly #call: FastCall;
  readonly #tail: SentTail;
  readonly #writes: SmallWrites;
  /** Buffers to read frames into, while this reader is far behind and the pool has buffers. */
  #buffers: ReadBuffers | undefined;
  /** The client was sent "caught-up" after the last record. */
  #sentCaughtUp = false;
  #heartbeatTimer: { cancel(): void } | undefined;
  /** When the last heartbeat was sent, or the stream began. */
  #beatMs: number;
  /** Cancels the wait for window or memory. */
  #stopWaiting: (() => void) | undefined;

  constructor(context: FastPathContext, call: FastCall, tail: SentTail) {
    this.#context = context;
    this.#call = call;
    this.#tail = tail;
    this.#writes = new SmallWrites((bytes) => call.response.write(bytes));
    this.#beatMs = context.clock.monotonicMs();
  }

  open(): void {
    const { traffic } = this.#context;
    traffic.tails++;
    this.#call.onEnd = () => {
      traffic.tails--;
      this.#cancelHeartbeat();
      this.#stopWaiting?.();
      this.#tail[Symbol.dispose]();
      this.#buffers = this.#buffers?.release();
    };
    this.#call.response.begin();
    if (this.#tail.beginsWithBeat) this.#sendHeartbeat();
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
    this.#flush(false);
  }

  #flush(isPrepared: boolean): void {
    if (this.#call.over) return;
    try {
      this.#send(isPrepared);
    } catch (reason) {
      this.#writes.flush();
      this.#call.fail(reason);
    }
  }

  /** `isPrepared`: where the next records are was just found. */
  #send(isPrepared: boolean): void {
    const { memory, clock } = this.#context;
    const untilMs = clock.monotonicMs() + turnMsMax;
    let taken = 0;
    for (let isFound = isPrepared; this.#tail.ending === undefined; isFound = false) {
      const prepared = isFound ? undefined : this.#tail.prepare?.();
      if (prepared !== undefined) {
        this.#flushAfter(prepared);
        return;
      }
      if (!mayRead(this.#call.stream, memory, this.#nextBytes)) {
        this.#waitToRead();
        return;
      }
      if (this.#isBeatDue) this.#writeMarker("heartbeat");
      const portion = this.#tail.take(this.#buffers?.next);
      if (portion === undefined) {
        this.#waitForLog();
        return;
      }
      if (portion === "later") {
        this.#resumeLater(true);
        return;
      }
      const isWritable = this.#sendPortion(portion);
      taken += portion.frames.length;
      if (this.#tail.ending === "limit") break;
      const isOver = taken >= turnBytesMax || clock.monotonicMs() >= untilMs;
      if (!isWritable || isOver || this.#buffers?.isFull === true) {
        this.#resumeLater(isWritable);
        return;
      }
    }
    if (this.#tail.ending === "caught-up") this.#writeCaughtUp();
    else if (this.#tail.ending === "suspended") this.#writeMarker("suspended");
    else if (this.#tail.isFiltered) this.#writeMarker("heartbeat");
    this.#writes.flush();
    this.#call.end();
  }

  readonly #nextBytes = (): number => this.#tail.nextBytes();

  /** The next records are far back in the log. The client learns meanwhile that the stream is alive. */
  #flushAfter(prepared: Promise<void>): void {
    const { clock } = this.#context;
    this.#writes.flush();
    this.#buffers = this.#buffers?.release();
    this.#scheduleHeartbeat();
    void prepared.then(() => {
      this.#cancelHeartbeat();
      workTurns(clock).wait(() => this.#flush(true));
    });
  }

  #waitToRead(): void {
    const { clock, memory } = this.#context;
    this.#writes.flush();
    this.#buffers = this.#buffers?.release();
    this.#stopWaiting = whenReadable(this.#call.stream, memory, this.#nextBytes, () => {
      this.#stopWaiting = undefined;
      clock.soon(() => this.flush());
    });
  }

  /** Returns false if the stream must drain before the next write. */
  #sendPortion({ bytes, records, payloadBytes, frames }: Portion): boolean {
    const { traffic, memory } = this.#context;
    if (records > 0 || !this.#tail.isFiltered) this.#sentCaughtUp = false;
    this.#call.tracked.bytesOut += payloadBytes;
    traffic.sent(records, payloadBytes);
    if (bytes.length > 0) this.#buffers?.markSending(bytes);
    const isWritable = this.#writes.write(bytes);
    if (frames.buffer !== this.#buffers?.next?.buffer) memory.addReadGarbage(frames.length);
    return isWritable;
  }

  #waitForLog(): void {
    this.#buffers = this.#buffers?.release();
    this.#writeCaughtUp();
    this.#writes.flush();
    this.#scheduleHeartbeat();
    this.#tail
      .ready()
      .then((more) => {
        this.#cancelHeartbeat();
        if (!more) this.#call.end();
        else if (!this.#call.over) this.#context.pacer.schedule(this);
      })
      .catch((reason: unknown) => this.#call.fail(reason));
  }

  /** Continues behind the end of the log, after the other tails had their turn and the client took its bytes. */
  #resumeLater(isWritable: boolean): void {
    const { clock, buffers } = this.#context;
    const { stream } = this.#call;
    const isDrained = this.#writes.flush() && isWritable;
    // A hundred readers that are far behind would take all of a turn for 100 ms.
    const flushSoon = (): void => workTurns(clock).wait(() => this.flush());
    if (this.#buffers?.isSending === true) {
      stream.whenSent(() => {
        this.#buffers?.markSent();
        flushSoon();
      });
    } else if (isDrained) {
      flushSoon();
    } else {
      stream.onDrain = () => {
        stream.onDrain = undefined;
        flushSoon();
      };
    }
    if (this.#tail.usesBuffers) this.#buffers ??= buffers.borrow();
  }

  #writeCaughtUp(): void {
    if (!this.#tail.markers || this.#sentCaughtUp) return;
    this.#sentCaughtUp = true;
    this.#writeMarker("caught-up");
  }

  #scheduleHeartbeat(): void {
    if (!this.#tail.markers || this.#heartbeatTimer !== undefined) return;
    this.#heartbeatTimer = this.#context.clock.after(this.#heartbeatMs, () => {
      this.#heartbeatTimer = undefined;
      if (this.#call.over) return;
      if (this.#call.stream.writableBytes > 0) this.#sendHeartbeat();
      this.#scheduleHeartbeat();
    });
  }

  #cancelHeartbeat(): void {
    this.#heartbeatTimer?.cancel();
    this.#heartbeatTimer = undefined;
  }

  /** For a reader that is behind, which learns from it how far. One that waits has the timer. */
  get #isBeatDue(): boolean {
    const { clock } = this.#context;
    if (!this.#tail.markers || clock.monotonicMs() - this.#beatMs < this.#heartbeatMs) return false;
    return this.#tail.isBehind;
  }

  get #heartbeatMs(): number {
    return markerMs(this.#context.heartbeatMs, this.#tail.isFiltered);
  }

  #sendHeartbeat(): void {
    this.#writeMarker("heartbeat");
    this.#writes.flush();
  }

  #writeMarker(marker: Marker): void {
    if (marker === "heartbeat") this.#beatMs = this.#context.clock.monotonicMs();
    this.#writes.write(this.#tail.marker(marker));
  }
}
