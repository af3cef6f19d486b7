/**
 * The server side of one HTTP/2 connection (RFC 9113) as a state machine: bytes in, requests and bytes out. It uses
 * neither socket nor clock; its H2Host does.
 *
 *   feed → FrameReader → FrameDispatch → RequestIntake → H2Stream → the server of the stream
 *   the server of the stream → H2Stream → SendFlow → FrameWriter → out
 *
 * A mistake of the client ends the stream or the connection, as RFC 9113 §5.4 says. README.md lists the limits.
 */
import type { MemoryBudget } from "../memory/mod.ts";
import { ClosedStreams } from "./closed-streams.ts";
import { FrameDispatch } from "./frame-dispatch.ts";
import { ConnectionError } from "./frames/connection-error.ts";
import { FrameReader } from "./frames/frame-reader.ts";
import { FrameWriter } from "./frames/frame-writer.ts";
import { errorCode, setting } from "./frames/frames.ts";
import type { OutBuffer } from "./frames/out-buffer.ts";
import type { H2Host } from "./h2-host.ts";
import type { H2Stream } from "./h2-stream.ts";
import { Deadlines } from "./limits/deadlines.ts";
import { FrameMeter } from "./limits/frame-meter.ts";
import { defaultH2Limits, type H2Limits } from "./limits/h2-limits.ts";
import { ReadTurn } from "./limits/read-turn.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { RequestIntake } from "./request-intake.ts";
import { SendFlow } from "./send-flow.ts";
import { StreamTable } from "./stream-table.ts";

const empty: Buffer = Buffer.alloc(0);

export class H2Connection {
  /** What the connection sends. The host takes it when onOutput() was called. */
  readonly out: OutBuffer;
  readonly #host: H2Host;
  readonly #turn: ReadTurn;
  readonly #writer: FrameWriter;
  readonly #flow: SendFlow;
  readonly #streams: StreamTable;
  readonly #deadlines: Deadlines;
  readonly #dispatch: FrameDispatch;
  readonly #reader = new FrameReader({
    onFrame: (type, flags, id, payload) => this.#dispatch.onFrame(type, flags, id, payload),
    takesPieces: () => this.#dispatch.takesData,
    isFull: () => this.#writer.isClosed || this.#turn.isOver,
  });

  /** `memory` counts bytes that wait for window; by default they are not counted. */
  constructor(host: H2Host, limits: H2Limits = defaultH2Limits, memory?: MemoryBudget) {
    const turn = new ReadTurn(limits, host);
    const writer = new FrameWriter(host);
    const meter = new FrameMeter(limits.frames, turn);
    const deadlines = new Deadlines(limits.times, turn.nowMs);
    const flow = new SendFlow(writer, meter, memory);
    const closed = new ClosedStreams(writer, meter);
    writer.settings([
      [setting.maxConcurrentStreams, limits.streamsMax],
      [setting.initialWindowSize, limits.streamWindow],
      [setting.maxHeaderListSize, limits.headerListBytesMax],
    ]);
    const receiveWindow = new ReceiveWindow(limits.connectionWindow, writer);
    const shared = { host, limits, turn, meter, writer, flow, closed, deadlines, memory, receiveWindow };
    const streams = new StreamTable(shared);
    const requests = new RequestIntake({ ...shared, streams });
    this.out = writer.out;
    this.#host = host;
    this.#turn = turn;
    this.#writer = writer;
    this.#flow = flow;
    this.#streams = streams;
    this.#deadlines = deadlines;
    this.#dispatch = new FrameDispatch({ ...shared, streams, requests });
  }

  /** The number of open streams. */
  get streams(): number {
    return this.#streams.size;
  }

  get closed(): boolean {
    return this.#writer.isClosed;
  }

  /** Takes received bytes. Returns false if some are left for a later turn: then proceed() must be called in one. */
  feed(chunk: Buffer): boolean {
    if (this.#writer.isClosed) return true;
    this.#turn.begin();
    try {
      this.#reader.read(chunk);
    } catch (reason) {
      if (!(reason instanceof ConnectionError)) throw reason;
      this.#abort(reason.code, reason.message);
    }
    if (this.#writer.isClosed) return true;
    if (this.#reader.hasRest) return false;
    const isIncomplete = this.#reader.hasPartial || !this.#dispatch.takesData;
    this.#deadlines.incomplete(isIncomplete ? this.#dispatch.items : undefined, this.#turn.nowMs);
    return true;
  }

  /** Takes bytes that an earlier turn left. Returns false if some are left again. */
  proceed(): boolean {
    return this.feed(empty);
  }

  /** When expire() must be called, in monotonic milliseconds; Infinity if the client is not waited for. */
  get dueMs(): number {
    return this.#writer.isClosed ? Infinity : this.#deadlines.dueMs;
  }

  /** Ends what has exceeded its time limit. */
  expire(): void {
    if (this.#writer.isClosed) return;
    this.#turn.readClock();
    const late = this.#deadlines.late(this.#turn.nowMs);
    if (late === "idle") this.drain();
    else if (late === "slow") this.#abort(errorCode.enhanceYourCalm, "a request came too slowly");
    else for (const id of late) this.#expireStream(this.#streams.get(id));
  }

  /** Lets the server of the stream answer. The same limit applies once more to what is left after that. */
  #expireStream(stream: H2Stream | undefined): void {
    if (stream === undefined) return;
    this.#deadlines.awaitWindow(stream.id, this.#turn.nowMs);
    if (!stream.timeOut()) stream.reset(errorCode.cancel);
  }

  /** Takes no new requests, and ends the connection once the open streams have ended. */
  drain(): void {
    if (this.#streams.isDraining || this.#writer.isClosed) return;
    this.#writer.goAway(this.#streams.lastId);
    this.#streams.drain();
  }

  /** The client has disconnected. All streams are closed. */
  disconnected(): void {
    this.#writer.close();
    this.#streams.closeAll();
  }

  /** Ends the connection with INTERNAL_ERROR. */
  fail(): void {
    if (!this.#writer.isClosed) this.#abort(errorCode.internal, "");
  }

  #abort(code: number, debug: string): void {
    this.#writer.goAway(this.#streams.lastId, code, debug);
    this.disconnected();
    this.#host.close();
  }

  /** The socket has too much to send (true), or takes more again (false). */
  congested(is: boolean): void {
    this.#flow.congested(is);
  }

  /** `out` was passed to the socket, and the socket takes more. */
  flushed(): void {
    this.#flow.flushed();
  }

  /** Callbacks to run once everything that is in `out` now is sent. */
  takeSent(): readonly (() => void)[] {
    return this.#streams.takeSent();
  }
}
