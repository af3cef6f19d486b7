/**
 * The HTTP/2 client of the load generator: the minimum that RFC 9113 requires of a client. A request costs it one or two
 * microseconds, so that the server under test is the limit. Header blocks are literals (RFC 7541 §6.2.2), encoded once per
 * path. The headers of responses are not decoded, so this client cannot check a header or a status.
 */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const frame = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 } as const;
const endStream = 1;
const endHeaders = 4;
const bigWindow = 0x3fff_ffff;
const frameBytesMax = 16_384;

export interface Target {
  readonly port: number;
  readonly tls?: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };
}

/** A request in progress. */
export interface Exchange {
  /** Receives bytes of the response body. */
  onData?: (chunk: Buffer) => void;
  /** Called at the end of the response. `reset`: the server aborted the stream. */
  onEnd: (reset: boolean) => void;
}

interface Stream {
  readonly exchange: Exchange;
  window: number;
  /** The part of the body that waits for window. */
  rest: Uint8Array | undefined;
  restEnds: boolean;
  received: number;
}

/** Encodes a block of literal header fields. */
export function headerBlock(fields: readonly (readonly [string, string])[]): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of fields) {
    parts.push(Buffer.from([0]), literal(name), literal(value));
  }
  return Buffer.concat(parts);
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  return Buffer.concat([Buffer.from([127, bytes.length - 127]), bytes]);
}

/** Encodes the header block of a gRPC call. */
export function grpcHeaders(path: string): Buffer {
  return headerBlock([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
    ["content-type", "application/grpc+proto"],
    ["te", "trailers"],
  ]);
}

export class H2Client {
  readonly #socket: Socket;
  readonly #streams = new Map<number, Stream>();
  #nextId = 1;
  #window = 65_535;
  #initialWindow = 65_535;
  #out: Buffer[] = [];
  #flushDue = false;
  #in: Buffer = Buffer.alloc(0);
  /** The DATA frame whose payload is arriving. Its pieces are passed on without joining them. */
  readonly #piece = { id: 0, flags: 0, left: 0 };
  #received = 0;
  #waiting: number[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#onChunk(chunk));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      for (const { exchange } of this.#streams.values()) exchange.onEnd(true);
      this.#streams.clear();
    });
    const settings = Buffer.alloc(6);
    settings.writeUInt16BE(4, 0);
    settings.writeUInt32BE(bigWindow, 2);
    this.#send(preface);
    this.#frame(frame.settings, 0, 0, settings);
    this.#grant(0, bigWindow);
  }

  static async open(target: Target): Promise<H2Client> {
    const socket = await new Promise<Socket>((resolve, reject) => {
      const { port, tls } = target;
      const opened =
        tls === undefined
          ? connectTcp({ port, host: "127.0.0.1", noDelay: true }, () => resolve(opened))
          : connectTls(
              { port, host: "127.0.0.1", servername: "localhost", ALPNProtocols: ["h2"], ...tls },
              () => resolve(opened),
            );
      opened.once("error", reject);
      opened.setNoDelay(true);
    });
    return new H2Client(socket);
  }

  /** Starts a request and returns its stream id. `body` undefined leaves the stream open for write(). */
  request(headers: Buffer, body: Uint8Array | undefined, exchange: Exchange): number {
    const id = this.#nextId;
    this.#nextId += 2;
    const stream: Stream = {
      exchange,
      window: this.#initialWindow,
      rest: undefined,
      restEnds: false,
      received: 0,
    };
    this.#streams.set(id, stream);
    this.#frame(frame.headers, endHeaders, id, headers);
    if (body !== undefined) this.#data(id, stream, body, true);
    return id;
  }

  /** Sends more of a body. Returns false if it waits for window: then wait until `drained`. */
  write(id: number, bytes: Uint8Array, ends = false): boolean {
    const stream = this.#streams.get(id);
    if (stream === undefined) return true;
    this.#data(id, stream, bytes, ends);
    return stream.rest === undefined && this.#socket.writableLength < 1 << 20;
  }

  /** Returns whether everything passed to write() is sent. */
  drained(id: number): boolean {
    return this.#streams.get(id)?.rest === undefined && this.#socket.writableLength < 1 << 20;
  }

  close(): void {
    this.#socket.destroy();
  }

  #data(id: number, stream: Stream, bytes: Uint8Array, ends: boolean): void {
    let body = stream.rest === undefined ? bytes : Buffer.concat([stream.rest, bytes]);
    stream.rest = undefined;
    do {
      const sendable = Math.min(body.length, frameBytesMax, stream.window, this.#window);
      if (sendable <= 0 && body.length > 0) {
        stream.rest = body;
        stream.restEnds = ends;
        if (!this.#waiting.includes(id)) this.#waiting.push(id);
        return;
      }
      const last = ends && sendable === body.length;
      this.#frame(frame.data, last ? endStream : 0, id, body.subarray(0, sendable));
      stream.window -= sendable;
      this.#window -= sendable;
      body = body.subarray(sendable);
    } while (body.length > 0);
  }

  #frame(type: number, flags: number, id: number, payload: Uint8Array): void {
    const head = Buffer.allocUnsafe(9 + payload.length);
    head.writeUIntBE(payload.length, 0, 3);
    head[3] = type;
    head[4] = flags;
    head.writeUInt32BE(id, 5);
    head.set(payload, 9);
    this.#send(head);
  }

  #grant(id: number, bytes: number): void {
    const payload = Buffer.allocUnsafe(4);
    payload.writeUInt32BE(bytes);
    this.#frame(frame.windowUpdate, 0, id, payload);
  }

  /** All output of one turn is one write. */
  #send(bytes: Buffer): void {
    this.#out.push(bytes);
    if (this.#flushDue) return;
    this.#flushDue = true;
    queueMicrotask(() => {
      this.#flushDue = false;
      const out = this.#out;
      this.#out = [];
      this.#socket.write(out.length === 1 ? (out[0] as Buffer) : Buffer.concat(out));
    });
  }

  #onChunk(chunk: Buffer): void {
    const bytes = this.#in.length === 0 ? chunk : Buffer.concat([this.#in, chunk]);
    let at = this.#piece.left > 0 ? this.#onPiece(bytes, 0) : 0;
    while (at + 9 <= bytes.length) {
      const length = bytes.readUIntBE(at, 3);
      const type = bytes[at + 3] as number;
      const flags = bytes[at + 4] as number;
      const id = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
      const start = at + 9;
      if (start + length <= bytes.length) {
        this.#onFrame(type, flags, id, bytes.subarray(start, start + length));
        at = start + length;
      } else if (type === frame.data) {
        this.#piece.id = id;
        this.#piece.flags = flags;
        this.#piece.left = length;
        at = this.#onPiece(bytes, start);
      } else break;
    }
    this.#in = bytes.subarray(at);
  }

  #onPiece(bytes: Buffer, at: number): number {
    const data = this.#piece;
    const end = Math.min(bytes.length, at + data.left);
    data.left -= end - at;
    if (end > at) this.#onData(data.id, data.left > 0 ? 0 : data.flags, bytes.subarray(at, end));
    return end;
  }

  #onFrame(type: number, flags: number, id: number, payload: Buffer): void {
    if (type === frame.data) this.#onData(id, flags, payload);
    else if (type === frame.headers) {
      if (flags & endStream) this.#end(id, false);
    } else if (type === frame.reset) this.#end(id, true);
    else if (type === frame.windowUpdate) this.#onGrant(id, payload.readUInt32BE(0));
    else if (type === frame.ping && !(flags & 1)) this.#frame(frame.ping, 1, 0, payload);
    else if (type === frame.settings && !(flags & 1)) this.#onSettings(payload);
  }

  #onData(id: number, flags: number, payload: Buffer): void {
    const stream = this.#streams.get(id);
    this.#received += payload.length;
    if (this.#received > bigWindow / 2) {
      this.#grant(0, this.#received);
      this.#received = 0;
    }
    if (stream === undefined) return;
    stream.received += payload.length;
    if (stream.received > bigWindow / 2) {
      this.#grant(id, stream.received);
      stream.received = 0;
    }
    stream.exchange.onData?.(payload);
    if (flags & endStream) this.#end(id, false);
  }

  #onSettings(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      if (payload.readUInt16BE(at) !== 4) continue;
      const size = payload.readUInt32BE(at + 2);
      for (const stream of this.#streams.values()) stream.window += size - this.#initialWindow;
      this.#initialWindow = size;
    }
    this.#frame(frame.settings, 1, 0, Buffer.alloc(0));
    this.#retry();
  }

  #onGrant(id: number, bytes: number): void {
    if (id === 0) this.#window += bytes;
    else {
      const stream = this.#streams.get(id);
      if (stream !== undefined) stream.window += bytes;
    }
    this.#retry();
  }

  #retry(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const id of waiting) {
      const stream = this.#streams.get(id);
      const rest = stream?.rest;
      if (stream === undefined || rest === undefined) continue;
      stream.rest = undefined;
      this.#data(id, stream, rest, stream.restEnds);
    }
  }

  #end(id: number, reset: boolean): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#streams.delete(id);
    stream.exchange.onEnd(reset);
  }
}
