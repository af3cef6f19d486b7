/**
 * The open streams of one connection. It opens and removes them, and does what a stream asks of its connection.
 *
 *   idle → open → closed (RFC 9113 §5.1)     ids of clients are odd and only grow: an id up to lastId is not idle
 */
import type { MemoryBudget } from "../memory/mod.ts";
import type { ClosedStreams } from "./closed-streams.ts";
import type { FrameWriter } from "./frames/frame-writer.ts";
import { errorCode } from "./frames/frames.ts";
import type { H2Host } from "./h2-host.ts";
import { H2Stream, type StreamHost } from "./h2-stream.ts";
import type { Deadlines } from "./limits/deadlines.ts";
import { type FrameMeter, frameCharge, frameEarning } from "./limits/frame-meter.ts";
import type { H2Limits } from "./limits/h2-limits.ts";
import { type ReadTurn, requestWork } from "./limits/read-turn.ts";
import type { SendFlow } from "./send-flow.ts";

const none: readonly never[] = [];

/** The parts of the connection that its streams use. */
export interface StreamTableParts {
  readonly host: H2Host;
  readonly limits: H2Limits;
  readonly turn: ReadTurn;
  readonly meter: FrameMeter;
  readonly writer: FrameWriter;
  readonly flow: SendFlow;
  readonly closed: ClosedStreams;
  readonly deadlines: Deadlines;
  readonly memory: MemoryBudget | undefined;
}

export class StreamTable implements StreamHost {
  readonly writer: FrameWriter;
  readonly flow: SendFlow;
  readonly memory: MemoryBudget | undefined;
  /** No new streams are opened, and the connection ends with the last open one. */
  isDraining = false;
  /** The highest id that the client has used. */
  lastId = 0;
  readonly #host: H2Host;
  readonly #limits: H2Limits;
  readonly #turn: ReadTurn;
  readonly #meter: FrameMeter;
  readonly #deadlines: Deadlines;
  readonly #open = new Map<number, H2Stream>();
  readonly #closed: ClosedStreams;
  /** Streams whose server waits until its output is sent. */
  readonly #awaitingSent = new Set<H2Stream>();
  readonly #monotonicMs = (): number => this.#host.monotonicMs();

  constructor(parts: StreamTableParts) {
    const { host, limits, turn, meter, writer, flow, closed, deadlines, memory } = parts;
    this.#host = host;
    this.#limits = limits;
    this.#closed = closed;
    this.#turn = turn;
    this.#meter = meter;
    this.writer = writer;
    this.flow = flow;
    this.#deadlines = deadlines;
    this.memory = memory;
  }

  get size(): number {
    return this.#open.size;
  }

  /** The open streams by id. */
  get open(): ReadonlyMap<number, H2Stream> {
    return this.#open;
  }

  get(id: number): H2Stream | undefined {
    return this.#open.get(id);
  }

  /** True if the client has not opened the stream, or only a server could. Most frames on it are errors. */
  isIdle(id: number): boolean {
    return id > this.lastId || id % 2 === 0;
  }

  /** Opens a stream for a request. `contentLength` is what its headers announce. */
  openStream(id: number, contentLength: number | undefined): H2Stream {
    const { number, nowMs } = this.#turn;
    const stream = new H2Stream(this, id, number, nowMs, this.#limits.streamWindow, contentLength);
    this.#open.set(id, stream);
    this.#deadlines.opened();
    return stream;
  }

  /** Takes no new streams, and ends the connection when the open ones have ended. */
  drain(): void {
    this.isDraining = true;
    this.#endIfDrained();
  }

  /** The connection is over, and so are all streams. */
  closeAll(): void {
    for (const stream of [...this.#open.values()]) stream.close();
    this.#open.clear();
    this.flow.clear();
    this.#awaitingSent.clear();
  }

  /** Callbacks to run once everything that is in the output buffer now is sent. */
  takeSent(): readonly (() => void)[] {
    if (this.#awaitingSent.size === 0) return none;
    const due: (() => void)[] = [];
    for (const stream of this.#awaitingSent) {
      const callback = stream.takeSent();
      if (callback === undefined) continue;
      due.push(callback);
      this.#awaitingSent.delete(stream);
    }
    return due;
  }

  // What a stream asks for (StreamHost).

  awaitSent(stream: H2Stream): void {
    this.#awaitingSent.add(stream);
  }

  requestDone(stream: H2Stream): void {
    this.#deadlines.requestDone(stream.id);
  }

  awaitWindow(stream: H2Stream): void {
    this.#deadlines.awaitWindow(stream.id, this.#host.monotonicMs());
  }

  resetReceiving(id: number, code: number, window: number): void {
    this.#closed.resetByServer(id, window);
    this.writer.reset(id, code);
  }

  responseSent(stream: H2Stream): void {
    this.#meter.earn(frameEarning.responseSent);
    this.#remove(stream);
  }

  canceledByServer(stream: H2Stream): void {
    this.#meter.earn(frameCharge.open);
    this.#remove(stream);
  }

  endForMistake(stream: H2Stream, code: number): void {
    stream.resetAndClose(code);
    this.#remove(stream);
    this.#meter.charge(frameCharge.reset);
  }

  streamFailed(stream: H2Stream, reason: unknown): void {
    this.#host.onStreamFailed(reason);
    stream.reset(errorCode.internal);
  }

  // What the client sends.

  /** RST_STREAM of the client on an open stream. */
  canceledByClient(stream: H2Stream): void {
    if (this.#wasServed(stream)) this.#meter.earn(frameEarning.servedReset);
    this.#closed.resetByClient(stream.id);
    stream.close();
    this.#remove(stream);
  }

  #wasServed({ openedTurn, openedMs, headersSent }: H2Stream): boolean {
    if (headersSent && openedTurn !== this.#turn.number) return true;
    return this.#turn.nowMs - openedMs >= this.#limits.servedMs;
  }

  /** Resets a stream, open or not, for a mistake of the client. */
  resetForMistake(id: number, code: number): void {
    const stream = this.#open.get(id);
    if (stream === undefined) this.writer.reset(id, code);
    else this.endForMistake(stream, code);
  }

  #remove(stream: H2Stream): void {
    // A stream that ends while its connection is read was refused, failed or canceled: that is not light work.
    this.#turn.addWork(requestWork);
    this.#open.delete(stream.id);
    this.flow.remove(stream);
    this.#awaitingSent.delete(stream);
    this.#deadlines.closed(stream.id, this.#open.size, this.#monotonicMs);
    this.#endIfDrained();
  }

  #endIfDrained(): void {
    if (!this.isDraining || this.writer.isClosed || this.#open.size > 0) return;
    this.writer.close();
    this.#host.close();
  }
}
