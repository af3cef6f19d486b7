/**
 * One HTTP/2 connection with prior knowledge (RFC 9113 §3.3) for gRPC calls whose requests are encoded once. A call costs a few
 * microseconds, so that `tailrace bench` measures the node and not its own client.
 *
 *   call := HEADERS  DATA…  →  HEADERS  DATA…  HEADERS (trailers)
 *
 * The node is asked not to use the dynamic table (SETTINGS_HEADER_TABLE_SIZE 0), so equal header blocks have equal fields, and each
 * is decoded once.
 */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { faultOf } from "../../client/mod.ts";
import { Fault } from "../../fault.ts";
import { ConnectionError } from "../../http2/frames/connection-error.ts";
import { headerFragment } from "../../http2/frames/frame-payload.ts";
import {
  errorCode,
  frameFlag,
  frameHeadBytes,
  framePayloadMax,
  frameType,
  initialWindow,
  setting,
} from "../../http2/frames/frames.ts";
import { encodeBlock } from "../../http2/hpack/encode-block.ts";
import { HpackDecoder } from "../../http2/hpack/hpack-decoder.ts";
import type { TlsTexts } from "../tls-flags.ts";

export interface RawTarget {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsTexts | undefined;
  /** Sent with each call. Default: none. */
  readonly token?: string | undefined;
}

/** A call in progress. */
export interface RawCall {
  /** Takes bytes of the response messages, with their envelopes. */
  readonly onData?: (bytes: Uint8Array) => void;
  /** Called at the end, with the fault of the call. */
  readonly onEnd: (fault: Fault | undefined) => void;
}

interface Stream {
  readonly call: RawCall;
  window: number;
  received: number;
  /** What waits for window. */
  readonly waiting: { bytes: Uint8Array; readonly ends: boolean }[];
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const headerTableSize = 1;
/** What the node may send before it is read: on one stream, and on the connection. */
const receiveWindow = 0x3fff_ffff;
const seenBlocksMax = 256;
/** A write is not larger than this if more waits for window anyway. */
const socketBytesMax = 1 << 20;

/** Encodes the request headers of a call of the service Log. */
export const callHeaders = (method: string, { host, port, tls, token }: RawTarget): Buffer =>
  encodeBlock([
    [":method", "POST"],
    [":scheme", tls === undefined ? "http" : "https"],
    [":path", `/log.v1.Log/${method}`],
    [":authority", `${host}:${port}`],
    ["content-type", "application/grpc+proto"],
    ["te", "trailers"],
    ...(token === undefined ? [] : ([["authorization", `Bearer ${token}`]] as [string, string][])),
  ]);

export class RawConnection {
  readonly #socket: Socket;
  readonly #streams = new Map<number, Stream>();
  readonly #decoder = new HpackDecoder(64 * 1024);
  /** The faults of header blocks that end a stream; null for success. */
  readonly #outcomes = new Map<string, Fault | null>();
  #isOpen = true;
  #nextId = 1;
  #window = initialWindow;
  #streamWindow = initialWindow;
  #received = 0;
  #in: Buffer = Buffer.alloc(0);
  /** The DATA frame whose payload is arriving. */
  readonly #piece = { id: 0, flags: 0, left: 0 };
  #out: Buffer[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      try {
        this.#onChunk(chunk);
      } catch (error) {
        // A frame that is too short is a RangeError of Buffer.
        if (!(error instanceof ConnectionError || error instanceof RangeError)) throw error;
        socket.destroy(); // it is no HTTP/2
      }
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#onClose());
    this.#write(preface);
    const settings = Buffer.alloc(12);
    settings.writeUInt16BE(headerTableSize, 0);
    settings.writeUInt16BE(setting.initialWindowSize, 6);
    settings.writeUInt32BE(receiveWindow, 8);
    this.#frame(frameType.settings, 0, 0, settings);
    this.#grant(0, receiveWindow);
  }

  /** Connects. @throws the error of the socket or of the TLS handshake */
  static open(target: RawTarget): Promise<RawConnection> {
    const { host, port, tls } = target;
    return new Promise((resolve, reject) => {
      const done = (): void => {
        socket.off("error", reject);
        socket.setNoDelay(true);
        resolve(new RawConnection(socket));
      };
      const given = Object.fromEntries(Object.entries(tls ?? {}).filter(([, text]) => text !== undefined));
      const socket =
        tls === undefined
          ? connectTcp({ host, port }, done)
          : connectTls({ host, port, ALPNProtocols: ["h2"], ...given }, done);
      socket.once("error", reject);
    });
  }

  /** Whether new calls can be made. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Starts a call and returns its stream. Without `body` the request goes on with write(). */
  start(headers: Buffer, body: Uint8Array | undefined, call: RawCall): number {
    const id = this.#nextId;
    this.#nextId += 2;
    if (this.#socket.destroyed) {
      queueMicrotask(() => call.onEnd(closed()));
      return id;
    }
    const stream: Stream = { call, window: this.#streamWindow, received: 0, waiting: [] };
    this.#streams.set(id, stream);
    this.#frame(frameType.headers, frameFlag.endHeaders, id, headers);
    if (body !== undefined) this.#data(id, stream, body, true);
    return id;
  }

  /** Sends more of a request. */
  write(id: number, bytes: Uint8Array, ends = false): void {
    const stream = this.#streams.get(id);
    if (stream !== undefined) this.#data(id, stream, bytes, ends);
  }

  /** Whether what was written is on its way, so that more can be. */
  isDrained(id: number): boolean {
    return this.#streams.get(id)?.waiting.length === 0 && this.#socket.writableLength < socketBytesMax;
  }

  close(): void {
    this.#isOpen = false;
    this.#socket.destroy();
  }

  #data(id: number, stream: Stream, bytes: Uint8Array, ends: boolean): void {
    stream.waiting.push({ bytes, ends });
    if (stream.waiting.length === 1) this.#sendWaiting(id, stream);
  }

  #sendWaiting(id: number, { waiting }: Stream): void {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const stream = this.#streams.get(id);
      if (stream === undefined) return;
      const size = Math.min(next.bytes.length, framePayloadMax, stream.window, this.#window);
      if (size <= 0 && next.bytes.length > 0) return;
      const isLast = size === next.bytes.length;
      const flags = isLast && next.ends ? frameFlag.endStream : 0;
      this.#frame(frameType.data, flags, id, next.bytes.subarray(0, size));
      stream.window -= size;
      this.#window -= size;
      if (isLast) waiting.shift();
      else next.bytes = next.bytes.subarray(size);
    }
  }

  #frame(type: number, flags: number, id: number, payload: Uint8Array): void {
    const bytes = Buffer.allocUnsafe(frameHeadBytes + payload.length);
    bytes.writeUIntBE(payload.length, 0, 3);
    bytes[3] = type;
    bytes[4] = flags;
    bytes.writeUInt32BE(id, 5);
    bytes.set(payload, frameHeadBytes);
    this.#write(bytes);
  }

  #grant(id: number, bytes: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(bytes);
    this.#frame(frameType.windowUpdate, 0, id, payload);
  }

  /** The frames of one turn are one write. */
  #write(bytes: Buffer): void {
    this.#out.push(bytes);
    if (this.#out.length > 1) return;
    queueMicrotask(() => {
      const [first] = this.#out;
      this.#socket.write(this.#out.length === 1 ? first! : Buffer.concat(this.#out));
      this.#out = [];
    });
  }

  #onChunk(chunk: Buffer): void {
    const bytes = this.#in.length === 0 ? chunk : Buffer.concat([this.#in, chunk]);
    let at = this.#piece.left > 0 ? this.#onPiece(bytes, 0) : 0;
    while (at + frameHeadBytes <= bytes.length) {
      const length = bytes.readUIntBE(at, 3);
      const flags = bytes[at + 4]!;
      const id = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
      const start = at + frameHeadBytes;
      if (length > framePayloadMax) return void this.#socket.destroy();
      if (start + length <= bytes.length) {
        this.#onFrame(bytes[at + 3]!, flags, id, bytes.subarray(start, start + length));
        at = start + length;
      } else if (bytes[at + 3] === frameType.data) {
        Object.assign(this.#piece, { id, flags, left: length });
        at = this.#onPiece(bytes, start);
      } else break;
    }
    this.#in = bytes.subarray(at);
  }

  /** Takes the next part of a DATA frame. Returns the position after it. */
  #onPiece(bytes: Buffer, at: number): number {
    const { id, flags, left } = this.#piece;
    const end = Math.min(bytes.length, at + left);
    this.#piece.left -= end - at;
    if (end > at) this.#onData(id, this.#piece.left > 0 ? 0 : flags, bytes.subarray(at, end));
    return end;
  }

  #onFrame(type: number, flags: number, id: number, payload: Buffer): void {
    if (type === frameType.data) this.#onData(id, flags, payload);
    else if (type === frameType.headers) this.#onHeaders(flags, id, payload);
    else if (type === frameType.resetStream) this.#end(id, resetFault(payload.readUInt32BE(0)));
    else if (type === frameType.windowUpdate) this.#onGrant(id, payload.readUInt32BE(0));
    else if (type === frameType.settings && !(flags & frameFlag.ack)) this.#onSettings(payload);
    else if (type === frameType.ping && !(flags & frameFlag.ack))
      this.#frame(frameType.ping, frameFlag.ack, 0, payload);
    else if (type === frameType.goAway) this.#isOpen = false;
    else if (type === frameType.continuation) this.#socket.destroy(); // no response of a node is so large
  }

  #onHeaders(flags: number, id: number, payload: Buffer): void {
    if (!(flags & frameFlag.endHeaders)) return void this.#socket.destroy();
    if (!(flags & frameFlag.endStream)) return;
    const block = headerFragment(flags, id, payload);
    const key = block.toString("latin1");
    let fault = this.#outcomes.get(key);
    if (fault === undefined) {
      fault = outcomeOf(this.#decoder.decode(block) ?? []) ?? null;
      if (this.#outcomes.size < seenBlocksMax) this.#outcomes.set(key, fault);
    }
    this.#end(id, fault ?? undefined);
  }

  #onData(id: number, flags: number, payload: Buffer): void {
    const stream = this.#streams.get(id);
    this.#received += payload.length;
    if (this.#received > receiveWindow / 2) {
      this.#grant(0, this.#received);
      this.#received = 0;
    }
    if (stream === undefined) return;
    stream.received += payload.length;
    if (stream.received > receiveWindow / 2) {
      this.#grant(id, stream.received);
      stream.received = 0;
    }
    stream.call.onData?.(payload);
    if (flags & frameFlag.endStream) this.#end(id, outcomeOf([]));
  }

  #onSettings(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      if (payload.readUInt16BE(at) !== setting.initialWindowSize) continue;
      const size = payload.readUInt32BE(at + 2);
      for (const stream of this.#streams.values()) stream.window += size - this.#streamWindow;
      this.#streamWindow = size;
    }
    this.#frame(frameType.settings, frameFlag.ack, 0, Buffer.alloc(0));
    this.#sendAll();
  }

  #onGrant(id: number, bytes: number): void {
    const stream = this.#streams.get(id);
    if (id === 0) {
      this.#window += bytes;
      this.#sendAll();
    } else if (stream !== undefined) {
      stream.window += bytes;
      this.#sendWaiting(id, stream);
    }
  }

  #sendAll(): void {
    for (const [id, stream] of this.#streams) if (stream.waiting.length > 0) this.#sendWaiting(id, stream);
  }

  #end(id: number, fault: Fault | undefined): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#streams.delete(id);
    stream.call.onEnd(fault);
  }

  #onClose(): void {
    this.#isOpen = false;
    const fault = closed();
    for (const id of [...this.#streams.keys()]) this.#end(id, fault);
  }
}

/** The fault that the last headers of a response report; undefined for success. */
function outcomeOf(fields: readonly (readonly [name: string, value: string])[]): Fault | undefined {
  const headers = new Headers(
    fields.filter(([name]) => !name.startsWith(":")).map(([name, value]) => [name, value]),
  );
  const error = findTrailerError(headers);
  if (error !== undefined) return faultOf(error, "write");
  if (headers.has("grpc-status")) return undefined;
  const [, status] = fields.find(([name]) => name === ":status") ?? [];
  const message =
    status === undefined ? "the response has no gRPC status" : `the response has HTTP status ${status}`;
  return new Fault("unavailable", { message, written: "unknown" });
}

const closed = (): Fault =>
  new Fault("unavailable", { message: "the connection was closed", written: "unknown" });

const resetFault = (code: number): Fault =>
  new Fault("unavailable", {
    message: `the node reset the stream with code ${code}`,
    written: code === errorCode.refusedStream ? "no" : "unknown",
  });
