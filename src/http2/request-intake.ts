/**
 * Makes requests of HEADERS and CONTINUATION frames: joins header blocks, checks them, opens streams or refuses them,
 * and takes trailers.
 */
import type { IncomingHttpHeaders } from "node:http2";
import type { ClosedStreams } from "./closed-streams.ts";
import { ConnectionError } from "./frames/connection-error.ts";
import { headerFragment } from "./frames/frame-payload.ts";
import { errorCode, frameFlag } from "./frames/frames.ts";
import type { H2Host } from "./h2-host.ts";
import type { H2Stream } from "./h2-stream.ts";
import type { Deadlines } from "./limits/deadlines.ts";
import { type FrameMeter, frameCharge, perUnit } from "./limits/frame-meter.ts";
import type { H2Limits } from "./limits/h2-limits.ts";
import { type ReadTurn, requestWork } from "./limits/read-turn.ts";
import { RequestDecoder } from "./request-decoder.ts";
import type { StreamTable } from "./stream-table.ts";

const empty: Buffer = Buffer.alloc(0);

/** A header block whose end has not arrived. */
interface OpenBlock {
  readonly id: number;
  readonly endStream: boolean;
  readonly parts: Buffer[];
  bytes: number;
}

/** The parts of the connection that requests need. */
export interface RequestIntakeParts {
  readonly host: H2Host;
  readonly limits: H2Limits;
  readonly turn: ReadTurn;
  readonly meter: FrameMeter;
  readonly deadlines: Deadlines;
  readonly streams: StreamTable;
  readonly closed: ClosedStreams;
}

export class RequestIntake {
  readonly #host: H2Host;
  readonly #limits: H2Limits;
  readonly #turn: ReadTurn;
  readonly #meter: FrameMeter;
  readonly #deadlines: Deadlines;
  readonly #streams: StreamTable;
  readonly #closed: ClosedStreams;
  readonly #decoder: RequestDecoder;
  #block: OpenBlock | undefined;

  constructor({ host, limits, turn, meter, deadlines, streams, closed }: RequestIntakeParts) {
    this.#host = host;
    this.#limits = limits;
    this.#turn = turn;
    this.#meter = meter;
    this.#deadlines = deadlines;
    this.#streams = streams;
    this.#closed = closed;
    this.#decoder = new RequestDecoder(limits.headerListBytesMax);
  }

  /** True while a header block is incomplete. Only CONTINUATION may follow then (RFC 9113 §6.10). */
  get isBlockOpen(): boolean {
    return this.#block !== undefined;
  }

  onHeaders(flags: number, id: number, payload: Buffer): void {
    if (id % 2 === 0) throw new ConnectionError(errorCode.protocol, "HEADERS on a stream of the server");
    const fragment = headerFragment(flags, id, payload);
    const endStream = (flags & frameFlag.endStream) !== 0;
    if (flags & frameFlag.endHeaders) this.#onBlock(id, endStream, fragment);
    else this.#block = { id, endStream, parts: [Buffer.from(fragment)], bytes: fragment.length };
  }

  onContinuation(flags: number, id: number, payload: Buffer): void {
    const block = this.#block;
    if (block === undefined || block.id !== id) {
      throw new ConnectionError(errorCode.protocol, "CONTINUATION without HEADERS");
    }
    this.#meter.charge(frameCharge.frame);
    block.parts.push(Buffer.from(payload));
    block.bytes += payload.length;
    if (block.bytes > 2 * this.#limits.headerListBytesMax) {
      throw new ConnectionError(errorCode.enhanceYourCalm, "a header block is too large");
    }
    if (!(flags & frameFlag.endHeaders)) return;
    this.#block = undefined;
    this.#onBlock(id, block.endStream, Buffer.concat(block.parts));
  }

  #onBlock(id: number, endStream: boolean, block: Buffer): void {
    const { lastId } = this.#streams;
    const stream = this.#streams.get(id);
    if (stream !== undefined) {
      this.#onTrailers(stream, endStream, block);
    } else if (id <= lastId) {
      this.#decoder.trailers(block);
      this.#meter.charge(frameCharge.frame);
      this.#closed.onHeaders(id);
    } else {
      this.#onRequest(id, endStream, block);
    }
  }

  #onTrailers(stream: H2Stream, endStream: boolean, block: Buffer): void {
    const isValid = this.#decoder.trailers(block);
    if (!stream.receiving) this.#streams.endForMistake(stream, errorCode.streamClosed);
    else if (!endStream || !isValid) this.#streams.endForMistake(stream, errorCode.protocol);
    else stream.receive(empty, 0, true);
  }

  #onRequest(id: number, endStream: boolean, block: Buffer): void {
    this.#streams.lastId = id;
    this.#turn.addRequest();
    const headers = this.#decoder.request(block);
    if (typeof headers === "string") {
      this.#meter.charge(Math.floor(block.length / perUnit.refusedBytes));
      this.#refuse(id, endStream, headers === "malformed" ? errorCode.protocol : errorCode.enhanceYourCalm);
    } else if (endStream && announcesBody(headers)) {
      this.#refuse(id, endStream, errorCode.protocol);
    } else if (this.#streams.isDraining || this.#streams.size >= this.#limits.streamsMax) {
      this.#refuse(id, endStream, errorCode.refusedStream);
    } else {
      this.#open(id, endStream, headers);
    }
  }

  #open(id: number, endStream: boolean, headers: IncomingHttpHeaders): void {
    this.#meter.charge(frameCharge.open);
    const length = headers["content-length"];
    const stream = this.#streams.openStream(id, length === undefined ? undefined : Number(length));
    if (!endStream) this.#deadlines.awaitRequest(id, this.#turn.nowMs);
    try {
      this.#host.onRequest(stream, headers);
    } catch (reason) {
      this.#streams.streamFailed(stream, reason);
    }
    if (!stream.isLight) this.#turn.addWork(requestWork - 1);
    if (endStream && !stream.closed) stream.receive(empty, 0, true);
  }

  /** Refuses a new stream. Its body may be on the way already. */
  #refuse(id: number, endStream: boolean, code: number): void {
    this.#turn.addWork(requestWork - 1);
    if (!endStream) this.#closed.resetByServer(id, this.#limits.streamWindow);
    this.#closed.refuse(id, code);
  }
}

const announcesBody = (headers: IncomingHttpHeaders): boolean => Number(headers["content-length"] ?? 0) > 0;
