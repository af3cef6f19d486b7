/**
 * The server's side of one HTTP/2 connection (RFC 9113) as a state machine: bytes in, requests and bytes out. Only
 * what this server needs: no push, no priorities, no tables of our own.
 *
 * Bounded: streams at once, header lists and blocks, what is received ahead of its reader, what is gathered to be
 * sent, and the frames that bring no request forward (frame-meter.ts). Every frame costs constant work; what is
 * more (a SETTINGS that wakes streams) is charged by how much. A turn of the event loop begins and ends a limited
 * number of requests; the rest of the chunk waits for proceed().
 * A mistake of the peer ends the stream or the connection as the RFC says, by the numbers of its §7.
 *
 * Never: touches a socket or a clock, reads a message.
 */
import type { IncomingHttpHeaders } from "node:http2";
import type { MemoryBudget } from "../memory/mod.ts";
import { ConnectionError } from "./frames/connection-error.ts";
import { FrameReader } from "./frames/frame-reader.ts";
import {
  errorCode,
  frameFlag,
  framePayloadMax,
  frameType,
  setting,
  windowMax,
  writeFrameHead,
  writeU32Frame,
} from "./frames/frames.ts";
import { OutBuffer } from "./frames/out-buffer.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import { H2Stream } from "./h2-stream.ts";
import { CompressionError, HpackDecoder } from "./hpack/hpack-decoder.ts";
import { Deadlines, type TimeLimits } from "./limits/deadlines.ts";
import { type FrameBudget, FrameMeter, frameCharge, frameEarning, perUnit } from "./limits/frame-meter.ts";
import { CutStreams } from "./limits/reset-streams.ts";
import { areTrailers, requestHeaders } from "./request-headers.ts";

const nothing: Buffer = Buffer.alloc(0);
const none: readonly never[] = [];

export interface H2Limits {
  readonly streamsMax: number;
  /** What a client may send ahead on one stream, and on the connection. */
  readonly streamWindow: number;
  readonly connectionWindow: number;
  readonly headerListBytesMax: number;
  readonly times: TimeLimits;
  /** For frames that bring no request forward. */
  readonly frames: FrameBudget;
  /**
   * A stream was being served when its answer began in an earlier turn than its reset, or when it lived so long: then
   * the reset is free. A reset right behind its request is not.
   */
  readonly servedMs: number;
  /**
   * Requests that one turn of the event loop begins or sees canceled, and for how long it begins them. A turn begins
   * `lightPerRequest` times as many whose stream is light, and reads no clock for them.
   */
  readonly requestsPerTurn: number;
  readonly turnMs: number;
}

export const defaultH2Limits: H2Limits = {
  streamsMax: 1024,
  streamWindow: 1024 * 1024,
  connectionWindow: 16 * 1024 * 1024,
  headerListBytesMax: 16 * 1024,
  times: { headersMs: 10_000, requestMs: 300_000, idleMs: 65_000 },
  // All streams opened and reset at once, before any was served, and half of that again.
  frames: { burst: 3 * 1024, savedMax: 256 * 1024, perSecond: 50 },
  servedMs: 25,
  requestsPerTurn: 32,
  turnMs: 5,
};

/** So many light requests are as much work as one other. */
const lightPerRequest = 8;

/** A DATA frame that a window cut to less than this is charged: the peer grants window in crumbs. */
const crumbBytes = 256;

/** Gathered in one turn before it is handed to the socket: more waits in its streams. Less while memory is tight. */
const gatheredBytesMax = 2 * 1024 * 1024;
const gatheredBytesTight = 64 * 1024;

/** What the connection asks of its surroundings. */
export interface H2Host {
  /** A request has begun; its stream calls back as its body arrives. */
  onRequest(stream: H2Stream, headers: IncomingHttpHeaders): void;
  /** What serves a stream threw this; the stream is about to be reset. */
  onStreamFailed(reason: unknown): void;
  /** Milliseconds since some start. */
  monotonicMs(): number;
  /** There is something to take(): soon, not at once. */
  wantsToSend(): void;
  /** Send what there is to take() and end the connection. */
  close(): void;
}

export class H2Connection {
  readonly out = new OutBuffer();
  /** Where bytes that wait for window or socket are counted. */
  readonly memory: MemoryBudget | undefined;
  readonly #host: H2Host;
  readonly #limits: H2Limits;
  readonly #hpack: HpackDecoder;
  readonly #streams = new Map<number, H2Stream>();
  /** Cut by us, and by the client. */
  readonly #cut = new CutStreams();
  readonly #abandoned = new CutStreams();
  readonly #meter: FrameMeter;
  readonly #deadlines: Deadlines;
  /** Whole frames and header blocks so far. */
  #pieces = 0;
  readonly #reader = new FrameReader({
    onFrame: (type, flags, id, payload) => this.#onFrame(type, flags, id, payload),
    takesPieces: () => this.#settingsSeen && this.#block === undefined,
    isFull: () => this.#closed || this.#isTurnOver(),
  });
  /** Work of this turn, in light requests; whether other work was done since the clock was read; no more is taken. */
  #turnWork = 0;
  #turnLook = false;
  #turnIsOver = false;
  #turn = 0;
  #nowMs: number;
  readonly #now = (): number => this.#host.monotonicMs();
  #settingsSeen = false;
  #lastStream = 0;
  /** The header block under way: CONTINUATION frames must follow without a break. */
  #block: { id: number; endStream: boolean; parts: Buffer[]; bytes: number } | undefined;
  #known: { block: Buffer; generation: number; headers: IncomingHttpHeaders } | undefined;
  /** What we may still send. */
  #sendWindow = 65_535;
  /** What every stream may send besides its own window updates (SETTINGS_INITIAL_WINDOW_SIZE). */
  initialSendWindow = 65_535;
  /** No stream was granted more than this by window updates, less what it sent. */
  #grantedMost = 0;
  /** Received since the last grant, on the connection. */
  #ungranted = 0;
  #receiveWindow = 65_535;
  #closing = false;
  #closed = false;
  /** Streams that wait for the connection's window or for the socket, in turn. */
  readonly #ready = new Set<H2Stream>();
  /** Streams that wait for their own window. */
  readonly #starved = new Set<H2Stream>();
  /** Streams whose server wants to know when what it wrote is sent. */
  readonly #unsent = new Set<H2Stream>();
  #congested = false;
  /** Streams wait because enough is gathered for this turn. */
  #isFull = false;

  constructor(host: H2Host, limits: H2Limits = defaultH2Limits, memory?: MemoryBudget) {
    this.#host = host;
    this.memory = memory;
    this.#limits = limits;
    this.#hpack = new HpackDecoder(limits.headerListBytesMax);
    this.#nowMs = host.monotonicMs();
    this.#meter = new FrameMeter(limits.frames, this.#nowMs);
    this.#deadlines = new Deadlines(limits.times, this.#nowMs);
    this.#sendSettings();
  }

  /** When expire() is due, on the monotonic clock; Infinity when the client is not waited for. */
  get dueMs(): number {
    return this.#closed ? Infinity : this.#deadlines.dueMs;
  }

  /** Ends what took too long by now. */
  expire(): void {
    if (this.#closed) return;
    this.#nowMs = this.#host.monotonicMs();
    const late = this.#deadlines.late(this.#nowMs);
    if (late === "idle") this.drain();
    else if (late === "slow") this.#abort(errorCode.enhanceYourCalm, "a request came too slowly");
    else for (const id of late) this.#expireStream(this.#streams.get(id));
  }

  /** Its server may answer; what is left after that has a last time limit. */
  #expireStream(stream: H2Stream | undefined): void {
    if (stream === undefined) return;
    this.#deadlines.awaitWindow(stream.id, this.#nowMs);
    if (!stream.tellLate()) stream.reset(errorCode.cancel);
  }

  /** Streams under way. */
  get streams(): number {
    return this.#streams.size;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Takes what arrived. False: a turn takes no more of it, and proceed() is due in a later one. */
  feed(chunk: Buffer): boolean {
    return this.#read(chunk);
  }

  /** Takes what an earlier turn left. False as feed(). */
  proceed(): boolean {
    return this.#read(nothing);
  }

  #read(chunk: Buffer): boolean {
    if (this.#closed) return true;
    this.#turnWork = 0;
    this.#turnLook = false;
    this.#turnIsOver = false;
    this.#turn++;
    this.#nowMs = this.#host.monotonicMs();
    try {
      this.#reader.read(chunk);
    } catch (reason) {
      if (reason instanceof ConnectionError) this.#abort(reason.code, reason.message);
      else if (reason instanceof CompressionError) this.#abort(errorCode.compression, reason.message);
      else throw reason;
    }
    if (this.#closed) return true;
    if (this.#reader.hasRest) return false;
    const incomplete = this.#reader.hasPartial || this.#block !== undefined || !this.#settingsSeen;
    this.#deadlines.incomplete(incomplete ? this.#pieces : undefined, this.#nowMs);
    return true;
  }

  /** The peer is gone: every stream is over. */
  hangUp(): void {
    this.#closed = true;
    for (const stream of [...this.#streams.values()]) stream.over();
    this.#streams.clear();
    this.#ready.clear();
    this.#starved.clear();
    this.#unsent.clear();
  }

  /** The connection cannot go on, and not by a mistake of the peer. */
  fail(): void {
    if (!this.#closed) this.#abort(errorCode.internal, "");
  }

  /** What serves a stream threw: the stream is over, and no other. */
  streamFailed(stream: H2Stream, reason: unknown): void {
    this.#host.onStreamFailed(reason);
    stream.reset(errorCode.internal);
  }

  /** Takes no new requests; ends once those under way have. */
  drain(): void {
    if (this.#closing || this.#closed) return;
    this.#closing = true;
    this.#goAway(errorCode.none, "");
    this.#endIfDrained();
  }

  /** The socket has too much to send already (true), or room again. */
  congested(is: boolean): void {
    this.#congested = is;
    if (!is) this.#sendReady();
  }

  /** What was gathered has been handed to the socket, which has room for more. */
  flushed(): void {
    if (!this.#isFull || this.#congested) return;
    this.#isFull = false;
    this.#sendReady();
  }

  /** Who is to be told once all that take() hands out now is sent. */
  takeSent(): readonly (() => void)[] {
    if (this.#unsent.size === 0) return none;
    const due: (() => void)[] = [];
    for (const stream of this.#unsent) {
      const callback = stream.takeSent();
      if (callback === undefined) continue;
      due.push(callback);
      this.#unsent.delete(stream);
    }
    return due;
  }

  // What streams ask for.

  awaitSent(stream: H2Stream): void {
    this.#unsent.add(stream);
  }

  /** Sends headers; `block` is whole. */
  sendHeaders(id: number, block: Uint8Array, end: boolean): void {
    if (this.#closed) return;
    let at = 0;
    do {
      const part = block.subarray(at, at + framePayloadMax);
      const last = at + part.length === block.length;
      const flags = (last ? frameFlag.endHeaders : 0) | (end && at === 0 ? frameFlag.endStream : 0);
      const type = at === 0 ? frameType.headers : frameType.continuation;
      writeFrameHead(this.out, part.length, type, flags, id, 0);
      this.out.add(part);
      at += part.length;
    } while (at < block.length);
    this.#host.wantsToSend();
  }

  /** How much of this a stream may send now, given its own window; it is spent. */
  spend(wanted: number, streamWindow: number): number {
    if (this.#congested || this.#closed || !this.#mayGather()) return 0;
    const bytes = Math.min(wanted, streamWindow, this.#sendWindow, framePayloadMax);
    if (bytes <= 0) return 0;
    this.#sendWindow -= bytes;
    if (bytes < wanted && bytes < crumbBytes) this.#meter.owe(frameEarning.dataSent + frameCharge.frame);
    return bytes;
  }

  /** How much a stream with this window could send now. */
  room(streamWindow: number): number {
    if (this.#congested || this.#closed || !this.#mayGather()) return 0;
    return Math.max(0, Math.min(streamWindow, this.#sendWindow));
  }

  #mayGather(): boolean {
    const bytesMax = this.memory?.tight === true ? gatheredBytesTight : gatheredBytesMax;
    if (this.out.bytes < bytesMax) return true;
    this.#isFull = true;
    return false;
  }

  /** Sends a piece of body that was paid for by spend(). */
  sendData(id: number, payload: Uint8Array, end: boolean): void {
    if (this.#closed) return;
    writeFrameHead(this.out, payload.length, frameType.data, end ? frameFlag.endStream : 0, id, 0);
    if (payload.length > 0) this.out.add(payload);
    this.#meter.earn(frameEarning.dataSent);
    this.#host.wantsToSend();
  }

  /** The request is complete, or may take as long as it likes. */
  requestDone(stream: H2Stream): void {
    this.#deadlines.requestDone(stream.id);
  }

  /** The answer of a stream is complete and waits for window. */
  awaitWindow(stream: H2Stream): void {
    this.#deadlines.awaitWindow(stream.id, this.#host.monotonicMs());
  }

  /** Call back stream.flush() when there is window again: the stream's own, when that is `starved`. */
  block(stream: H2Stream, starved: boolean): void {
    if (starved) {
      this.#ready.delete(stream);
      this.#starved.add(stream);
    } else {
      this.#starved.delete(stream);
      this.#ready.add(stream);
    }
  }

  sendReset(id: number, code: number): void {
    if (this.#closed) return;
    writeU32Frame(this.out, frameType.resetStream, id, code);
    this.#host.wantsToSend();
  }

  /** Cuts a stream on which the client may still send so much. */
  cut(id: number, code: number, window: number): void {
    this.#cut.add(id, window);
    this.sendReset(id, code);
  }

  /** Lets the client send so much more on a stream. */
  grant(id: number, bytes: number): void {
    if (this.#closed) return;
    writeU32Frame(this.out, frameType.windowUpdate, id, bytes);
    this.#host.wantsToSend();
  }

  /** The answer is complete. */
  answered(stream: H2Stream): void {
    this.#meter.earn(frameEarning.answered);
    this.#forget(stream);
  }

  /** The server of a stream has cut it. */
  abandoned(stream: H2Stream): void {
    this.#meter.earn(frameCharge.open);
    this.#forget(stream);
  }

  /** Ends a stream for a mistake that its client made on it. Throws when there were too many. */
  endForMistake(stream: H2Stream, code: number): void {
    stream.cutOff(code);
    this.#forget(stream);
    this.#charge(frameCharge.reset);
  }

  #forget(stream: H2Stream): void {
    // What ends while its connection is read was refused, has failed or was canceled: no light request does.
    this.#worked(lightPerRequest);
    this.#streams.delete(stream.id);
    this.#ready.delete(stream);
    this.#starved.delete(stream);
    this.#unsent.delete(stream);
    this.#deadlines.closed(stream.id, this.#streams.size, this.#now);
    this.#endIfDrained();
  }

  // What the peer sends.

  /** Once true, it stays so until the next turn. Called for every frame. */
  #isTurnOver(): boolean {
    const { requestsPerTurn, turnMs } = this.#limits;
    if (this.#turnWork >= requestsPerTurn * lightPerRequest) return true;
    if (!this.#turnLook) return this.#turnIsOver;
    this.#turnLook = false;
    this.#turnIsOver ||= this.#host.monotonicMs() - this.#nowMs >= turnMs;
    return this.#turnIsOver;
  }

  /** Work of this turn that is as much as a request which is not light. */
  #worked(units: number): void {
    this.#turnWork += units;
    this.#turnLook = true;
  }

  #onFrame(type: number, flags: number, id: number, payload: Buffer): void {
    if (!this.#settingsSeen && type !== frameType.settings) {
      throw new ConnectionError(errorCode.protocol, "the first frame must be SETTINGS");
    }
    if (this.#block !== undefined && type !== frameType.continuation) {
      throw new ConnectionError(errorCode.protocol, "a header block was interrupted");
    }
    switch (type) {
      case frameType.data:
        this.#onData(flags, id, payload);
        break;
      case frameType.headers:
        this.#onHeaders(flags, id, payload);
        break;
      case frameType.priority:
        this.#onPriority(id, payload);
        break;
      case frameType.resetStream:
        this.#onReset(id, payload);
        break;
      case frameType.settings:
        this.#onSettings(flags, id, payload);
        break;
      case frameType.pushPromise:
        throw new ConnectionError(errorCode.protocol, "a client cannot push");
      case frameType.ping:
        this.#onPing(flags, id, payload);
        break;
      case frameType.goAway:
        this.#onGoAway(id, payload);
        break;
      case frameType.windowUpdate:
        this.#onWindowUpdate(id, payload);
        break;
      case frameType.continuation:
        this.#onContinuation(flags, id, payload);
        break;
      default:
        this.#charge(frameCharge.frame);
    }
    if (this.#block === undefined) this.#pieces++;
  }

  #onData(flags: number, id: number, payload: Buffer): void {
    const stream = this.#streams.get(id);
    if (stream === undefined && this.#isIdle(id)) {
      throw new ConnectionError(errorCode.protocol, "DATA on a stream that was never opened");
    }
    this.#receiveWindow -= payload.length;
    if (this.#receiveWindow < 0) throw new ConnectionError(errorCode.flowControl, "more than the window");
    this.#ungranted += payload.length;
    if (this.#ungranted >= this.#limits.connectionWindow / 2) this.#grantConnection();
    const body = flags & frameFlag.padded ? unpadded(payload, 0) : payload;
    if (body.length === 0 && !(flags & frameFlag.endStream)) this.#charge(frameCharge.frame);
    if (stream === undefined) {
      this.#onLateData(id, payload.length, (flags & frameFlag.endStream) !== 0);
      return;
    }
    stream.receive(body, payload.length, (flags & frameFlag.endStream) !== 0);
  }

  /** What was on its way when we cut the stream is passed over. */
  #onLateData(id: number, bytes: number, endStream: boolean): void {
    if (!this.#cut.has(id)) {
      this.#refuse(id, errorCode.streamClosed);
    } else if (!this.#cut.spend(id, bytes)) {
      throw new ConnectionError(errorCode.flowControl, "more than the window of a stream that is closed");
    } else if (endStream) {
      this.#cut.delete(id);
    }
  }

  /** Trailers, most likely. Their block has been to the decoder, whose table goes on whatever becomes of the stream. */
  #onLateHeaders(id: number): void {
    if (this.#cut.has(id)) {
      this.#cut.delete(id);
    } else if (this.#abandoned.has(id)) {
      this.#refuse(id, errorCode.streamClosed);
    } else {
      throw new ConnectionError(errorCode.streamClosed, "HEADERS on a closed stream");
    }
  }

  #grantConnection(): void {
    this.#receiveWindow += this.#ungranted;
    this.grant(0, this.#ungranted);
    this.#ungranted = 0;
  }

  #onHeaders(flags: number, id: number, payload: Buffer): void {
    if (id % 2 === 0) throw new ConnectionError(errorCode.protocol, "HEADERS on a stream no client may open");
    let at = flags & frameFlag.padded ? 1 : 0;
    if (flags & frameFlag.priority) {
      if (payload.length < at + 5) throw new ConnectionError(errorCode.frameSize, "HEADERS cut off");
      if ((payload.readUInt32BE(at) & 0x7fff_ffff) === id) {
        throw new ConnectionError(errorCode.protocol, "a stream cannot depend on itself");
      }
      at += 5;
    }
    const fragment = flags & frameFlag.padded ? unpadded(payload, at - 1) : payload.subarray(at);
    const endStream = (flags & frameFlag.endStream) !== 0;
    if (flags & frameFlag.endHeaders) this.#onBlock(id, endStream, fragment);
    else this.#block = { id, endStream, parts: [Buffer.from(fragment)], bytes: fragment.length };
  }

  #onContinuation(flags: number, id: number, payload: Buffer): void {
    const block = this.#block;
    if (block === undefined || block.id !== id) {
      throw new ConnectionError(errorCode.protocol, "CONTINUATION of nothing");
    }
    this.#charge(frameCharge.frame);
    block.parts.push(Buffer.from(payload));
    block.bytes += payload.length;
    if (block.bytes > 2 * this.#limits.headerListBytesMax) {
      throw new ConnectionError(errorCode.enhanceYourCalm, "a header block out of all proportion");
    }
    if (!(flags & frameFlag.endHeaders)) return;
    this.#block = undefined;
    this.#onBlock(id, block.endStream, Buffer.concat(block.parts));
  }

  #onBlock(id: number, endStream: boolean, block: Buffer): void {
    const stream = this.#streams.get(id);
    if (stream !== undefined) {
      this.#onTrailers(stream, endStream, block);
      return;
    }
    if (id <= this.#lastStream) {
      this.#hpack.decode(block);
      this.#charge(frameCharge.frame);
      this.#onLateHeaders(id);
      return;
    }
    this.#lastStream = id;
    this.#turnWork++;
    const headers = this.#headersOf(block);
    if (typeof headers === "string") this.#charge(Math.floor(block.length / perUnit.refusedBytes));
    if (headers === "malformed" || (headers !== "too-large" && endStream && lacksBody(headers))) {
      this.#refuseNew(id, endStream, errorCode.protocol);
    } else if (headers === "too-large") this.#refuseNew(id, endStream, errorCode.enhanceYourCalm);
    else if (this.#closing || this.#streams.size >= this.#limits.streamsMax) {
      this.#refuseNew(id, endStream, errorCode.refusedStream);
    } else this.#open(id, headers, endStream);
  }

  #open(id: number, headers: IncomingHttpHeaders, endStream: boolean): void {
    this.#charge(frameCharge.open);
    const length = headers["content-length"];
    const stream = new H2Stream(
      this,
      id,
      this.#turn,
      this.#nowMs,
      this.#limits.streamWindow,
      length === undefined ? undefined : Number(length),
    );
    this.#streams.set(id, stream);
    this.#deadlines.opened();
    if (!endStream) this.#deadlines.awaitRequest(id, this.#nowMs);
    try {
      this.#host.onRequest(stream, headers);
    } catch (reason) {
      this.streamFailed(stream, reason);
    }
    if (!stream.isLight) this.#worked(lightPerRequest - 1);
    if (endStream && !stream.closed) stream.receive(nothing, 0, true);
  }

  /** Equal blocks mean equal headers while the table stands: most requests of a connection are known by their bytes. */
  #headersOf(block: Buffer): IncomingHttpHeaders | "malformed" | "too-large" {
    const known = this.#known;
    if (known !== undefined && known.generation === this.#hpack.generation && known.block.equals(block)) {
      return known.headers;
    }
    const { generation } = this.#hpack;
    const fields = this.#hpack.decode(block);
    if (fields === undefined) return "too-large";
    const headers = requestHeaders(fields);
    if (headers === undefined) return "malformed";
    if (generation === this.#hpack.generation) {
      this.#known = { block: Buffer.from(block), generation, headers };
    }
    return headers;
  }

  #onTrailers(stream: H2Stream, endStream: boolean, block: Buffer): void {
    const fields = this.#hpack.decode(block);
    if (!stream.receiving) {
      this.endForMistake(stream, errorCode.streamClosed);
    } else if (!endStream || fields === undefined || !areTrailers(fields)) {
      this.endForMistake(stream, errorCode.protocol);
    } else {
      stream.receive(nothing, 0, true);
    }
  }

  /** Its body may be on its way already. */
  #refuseNew(id: number, endStream: boolean, code: number): void {
    this.#worked(lightPerRequest - 1);
    if (!endStream) this.#cut.add(id, this.#limits.streamWindow);
    this.#refuse(id, code);
  }

  #refuse(id: number, code: number): void {
    this.#charge(frameCharge.frame);
    this.sendReset(id, code);
  }

  /** Only HEADERS and PRIORITY may name it: the client has not opened it, or its id is one of a server's. */
  #isIdle(id: number): boolean {
    return id > this.#lastStream || id % 2 === 0;
  }

  #onPriority(id: number, payload: Buffer): void {
    if (id === 0) throw new ConnectionError(errorCode.protocol, "PRIORITY without a stream");
    this.#charge(frameCharge.frame);
    if (payload.length !== 5) {
      this.#resetStream(id, errorCode.frameSize);
    } else if ((payload.readUInt32BE(0) & 0x7fff_ffff) === id) {
      this.#resetStream(id, errorCode.protocol);
    }
  }

  #resetStream(id: number, code: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) this.sendReset(id, code);
    else this.endForMistake(stream, code);
  }

  #onReset(id: number, payload: Buffer): void {
    if (this.#isIdle(id)) {
      throw new ConnectionError(errorCode.protocol, "RST_STREAM on a stream that was never opened");
    }
    if (payload.length !== 4) throw new ConnectionError(errorCode.frameSize, "RST_STREAM of a wrong size");
    this.#charge(frameCharge.reset);
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    if (this.#wasServed(stream)) this.#meter.earn(frameEarning.servedReset);
    this.#abandoned.add(id, 0);
    stream.over();
    this.#forget(stream);
  }

  #wasServed({ openedTurn, openedMs, headersSent }: H2Stream): boolean {
    return (headersSent && openedTurn !== this.#turn) || this.#nowMs - openedMs >= this.#limits.servedMs;
  }

  #onSettings(flags: number, id: number, payload: Buffer): void {
    if (id !== 0) throw new ConnectionError(errorCode.protocol, "SETTINGS on a stream");
    if (flags & frameFlag.ack) {
      if (payload.length > 0)
        throw new ConnectionError(errorCode.frameSize, "an acknowledgement with settings");
      this.#charge(frameCharge.frame);
      return;
    }
    if (payload.length % 6 !== 0) throw new ConnectionError(errorCode.frameSize, "SETTINGS of a wrong size");
    this.#charge(frameCharge.frame + Math.floor(payload.length / 6 / perUnit.settings));
    this.#settingsSeen = true;
    const before = this.initialSendWindow;
    for (let at = 0; at < payload.length; at += 6) {
      this.#onSetting(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    }
    // Before the DATA that the new window allows.
    writeFrameHead(this.out, 0, frameType.settings, frameFlag.ack, 0);
    this.#host.wantsToSend();
    if (this.initialSendWindow > before) this.#wakeStarved();
  }

  #onSetting(name: number, value: number): void {
    if (name === setting.initialWindowSize) {
      if (value > windowMax)
        throw new ConnectionError(errorCode.flowControl, "a window out of all proportion");
      this.initialSendWindow = value;
      if (value + this.#grantedMost > windowMax) this.#checkWindows();
    } else if (name === setting.maxFrameSize && (value < framePayloadMax || value > 0xff_ffff)) {
      throw new ConnectionError(errorCode.protocol, "a frame size that is not allowed");
    } else if (name === setting.enablePush && value > 1) {
      throw new ConnectionError(errorCode.protocol, "ENABLE_PUSH is neither 0 nor 1");
    }
  }

  /** The bound on what streams were granted says that a window may be too large: finds the true one. */
  #checkWindows(): void {
    this.#charge(Math.ceil(this.#streams.size / perUnit.streams));
    this.#grantedMost = 0;
    for (const stream of this.#streams.values()) {
      this.#grantedMost = Math.max(this.#grantedMost, stream.granted);
    }
    if (this.initialSendWindow + this.#grantedMost > windowMax) {
      throw new ConnectionError(errorCode.flowControl, "a window overflows");
    }
  }

  /** A larger initial window is window for every stream that waits for its own (RFC 9113 §6.9.2). */
  #wakeStarved(): void {
    this.#charge(Math.ceil(this.#starved.size / perUnit.streams));
    for (const stream of [...this.#starved]) if (stream.sendWindow > 0) stream.flush();
  }

  #onPing(flags: number, id: number, payload: Buffer): void {
    if (id !== 0) throw new ConnectionError(errorCode.protocol, "PING on a stream");
    if (payload.length !== 8) throw new ConnectionError(errorCode.frameSize, "PING of a wrong size");
    this.#charge(frameCharge.frame);
    if (flags & frameFlag.ack) return;
    const at = writeFrameHead(this.out, 8, frameType.ping, frameFlag.ack, 0);
    this.out.target.set(payload, at);
    this.#host.wantsToSend();
  }

  #onGoAway(id: number, payload: Buffer): void {
    if (id !== 0) throw new ConnectionError(errorCode.protocol, "GOAWAY on a stream");
    if (payload.length < 8) throw new ConnectionError(errorCode.frameSize, "GOAWAY of a wrong size");
    this.#charge(frameCharge.frame);
    this.#closing = true;
    this.#endIfDrained();
  }

  #onWindowUpdate(id: number, payload: Buffer): void {
    if (payload.length !== 4) throw new ConnectionError(errorCode.frameSize, "WINDOW_UPDATE of a wrong size");
    if (id !== 0 && this.#isIdle(id)) {
      throw new ConnectionError(errorCode.protocol, "WINDOW_UPDATE on a stream that was never opened");
    }
    this.#charge(frameCharge.frame);
    const bytes = payload.readUInt32BE(0) & windowMax;
    if (id === 0) this.#widen(bytes);
    else this.#widenStream(this.#streams.get(id), bytes);
  }

  #widen(bytes: number): void {
    if (bytes === 0) throw new ConnectionError(errorCode.protocol, "WINDOW_UPDATE of nothing");
    this.#sendWindow += bytes;
    if (this.#sendWindow > windowMax) throw new ConnectionError(errorCode.flowControl, "a window overflows");
    this.#sendReady();
  }

  #widenStream(stream: H2Stream | undefined, bytes: number): void {
    if (stream === undefined) return;
    if (bytes === 0) {
      this.endForMistake(stream, errorCode.protocol);
    } else if (!stream.widen(bytes)) {
      this.endForMistake(stream, errorCode.flowControl);
    } else {
      this.#grantedMost = Math.max(this.#grantedMost, stream.granted);
      if (this.#starved.has(stream)) stream.flush();
    }
  }

  /**
   * Streams send in turn until the connection's window or the socket's room is used up; one that has more to send goes
   * to the end. Each step sends, or moves a stream whose own window is used up to those that wait for it.
   */
  #sendReady(): void {
    for (const stream of this.#ready) {
      if (this.#sendWindow <= 0 || this.#congested || this.#closed || !this.#mayGather()) return;
      this.#ready.delete(stream);
      stream.flush();
    }
  }

  #charge(units: number): void {
    if (!this.#meter.charge(units, this.#nowMs)) {
      throw new ConnectionError(errorCode.enhanceYourCalm, "too many frames that bring no request forward");
    }
  }

  #sendSettings(): void {
    const { streamsMax, streamWindow, headerListBytesMax, connectionWindow } = this.#limits;
    const values = [
      [setting.maxConcurrentStreams, streamsMax],
      [setting.initialWindowSize, streamWindow],
      [setting.maxHeaderListSize, headerListBytesMax],
    ] as const;
    let at = writeFrameHead(this.out, 6 * values.length, frameType.settings, 0, 0);
    for (const [name, value] of values) {
      this.out.target.writeUInt16BE(name, at);
      this.out.target.writeUInt32BE(value, at + 2);
      at += 6;
    }
    this.#receiveWindow = connectionWindow;
    this.grant(0, connectionWindow - 65_535);
  }

  #goAway(code: number, why: string): void {
    const text = Buffer.from(why);
    const at = writeFrameHead(this.out, 8 + text.length, frameType.goAway, 0, 0);
    this.out.target.writeUInt32BE(this.#lastStream, at);
    this.out.target.writeUInt32BE(code, at + 4);
    this.out.target.set(text, at + 8);
    this.#host.wantsToSend();
  }

  #abort(code: number, why: string): void {
    this.#goAway(code, why);
    this.hangUp();
    this.#host.close();
  }

  #endIfDrained(): void {
    if (!this.#closing || this.#closed || this.#streams.size > 0) return;
    this.#closed = true;
    this.#host.close();
  }
}

/** A body was announced, and the request ends without one. */
const lacksBody = (headers: IncomingHttpHeaders): boolean => Number(headers["content-length"] ?? 0) > 0;

/** The payload without its padding, whose length stands in its first byte; `skip` bytes more belong to its head. */
function unpadded(payload: Buffer, skip: number): Buffer {
  const padding = payload[0];
  const start = 1 + skip;
  if (padding === undefined || padding > payload.length - start) {
    throw new ConnectionError(errorCode.protocol, "more padding than payload");
  }
  return payload.subarray(start, payload.length - padding);
}
