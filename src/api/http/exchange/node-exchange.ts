/**
 * Implements Exchange for HTTP/1.1, on Node's server.
 *
 * A response can end before its request has arrived completely. Then the rest of the request is read and discarded for a
 * while: a connection with unread bytes cannot serve another request, and closing it resets it, which can discard the
 * response on its way to the client. If the rest is large or of unknown size, the response says `connection: close`.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../../../lib/time/clock.ts";
import { type MemoryBudget, type MemoryShare, UnsentBytes } from "../../../memory/mod.ts";
import { BodyQueue } from "./body-queue.ts";
import { discardRest } from "./discard-rest.ts";
import {
  clientDisconnected,
  type Exchange,
  isBodyless,
  mergedHeaders,
  type ResponseHeaders,
} from "./exchange.ts";

/** Memory of a request besides the text of its headers, in bytes. */
const requestBytes = 8 * 1024;
/** The rest of a body up to this size is read to keep the connection. */
const keptBytesMax = 256 * 1024;

export interface NodeExchangeOptions {
  readonly clock: Clock;
  /** Counts the unread bytes of requests and the unsent bytes of responses. */
  readonly memory?: MemoryBudget | undefined;
  /** The connection uses TLS: unsent bytes exist three times. Default false. */
  readonly secure?: boolean;
  /** From requestTarget(). */
  readonly target: string;
  readonly authority: string | undefined;
  /** The client waits for `100 Continue`. Node has not sent it. */
  readonly expectsContinue: boolean;
}

/** Node keeps the first of several fields Authorization. Here they are joined, as over HTTP/2: the result is no valid credential. */
function headersOf(request: IncomingMessage): IncomingMessage["headers"] {
  const { headers } = request;
  if (headers.authorization === undefined) return headers;
  const all = request.headersDistinct["authorization"] ?? [];
  return all.length > 1 ? { ...headers, authorization: all.join(", ") } : headers;
}

export class NodeExchange implements Exchange {
  readonly httpVersion: "1.0" | "1.1";
  readonly method: string;
  target: string;
  readonly authority: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #clock: Clock;
  readonly #set = new Map<string, string | readonly string[]>();
  readonly #body: BodyQueue;
  #reading = false;
  #discarding = false;
  #expectsContinue: boolean;
  #disconnected: AbortController | undefined;
  #ended = false;
  #written = false;
  /** True if the connection ends with the response. */
  #closes = false;
  #waiters: ((open: boolean) => void)[] = [];
  #onWritable: (() => void) | undefined;
  /** The bytes of the response that the socket has not taken yet. */
  readonly #unsent: UnsentBytes;
  /** Counts the memory of the request's headers. */
  readonly #head: MemoryShare | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, options: NodeExchangeOptions) {
    this.#request = request;
    this.#response = response;
    this.#clock = options.clock;
    this.httpVersion = request.httpVersion === "1.0" ? "1.0" : "1.1";
    this.method = request.method ?? "";
    this.target = options.target;
    this.authority = options.authority;
    this.headers = headersOf(request);
    this.#expectsContinue = options.expectsContinue;
    const { memory } = options;
    this.#body = new BodyQueue({ pause: () => request.pause(), resume: () => request.resume() }, memory);
    this.#unsent = new UnsentBytes({
      memory,
      pending: () => response.writableLength,
      secure: options.secure === true,
      end: () => request.socket.destroy(),
    });
    this.#head = memory?.share("in");
    this.#head?.count(headBytes(request));
    // An error without a listener would end the process.
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    response.on("drain", () => {
      this.#unsent.update();
      this.#resolveWaiters(true);
      this.#callOnWritable();
    });
    response.on("finish", () => this.#unsent.update());
    response.on("close", () => this.#onClose());
  }

  get body(): AsyncIterable<Uint8Array> {
    if (this.#expectsContinue && !this.#response.headersSent) {
      this.#expectsContinue = false;
      this.#response.writeContinue();
    }
    if (!this.#reading && !this.#discarding) {
      this.#reading = true;
      const request = this.#request;
      request.on("data", (chunk: Buffer) => this.#body.push(chunk));
      request.on("end", () => this.#body.finish());
      request.on("close", () => {
        if (!request.complete) this.#body.fail(clientDisconnected());
      });
    }
    return this.#body;
  }

  get signal(): AbortSignal {
    if (this.#disconnected === undefined) {
      this.#disconnected = new AbortController();
      if (this.#response.closed && !this.#ended) this.#disconnected.abort(clientDisconnected());
    }
    return this.#disconnected.signal;
  }

  get headersSent(): boolean {
    return this.#response.headersSent;
  }

  get closed(): boolean {
    return this.#ended || this.#response.destroyed || this.#response.closed;
  }

  get writableBytes(): number {
    const { writableNeedDrain, writableHighWaterMark, writableLength } = this.#response;
    return this.closed || writableNeedDrain ? 0 : Math.max(1, writableHighWaterMark - writableLength);
  }

  whenWritable(callback: () => void): void {
    this.#onWritable = callback;
  }

  failBody(reason: unknown): void {
    this.#body.fail(reason);
  }

  setHeader(name: string, value: string | readonly string[]): void {
    this.#set.set(name, value);
  }

  respond(status: number, headers: ResponseHeaders): void {
    if (this.closed || this.headersSent) return;
    this.#writeHead(status, headers);
    // The headers leave with the first chunk of the body, or alone if it does not follow in this turn.
    queueMicrotask(() => {
      if (!this.#written && !this.closed) this.#response.flushHeaders();
    });
  }

  write(chunk: Uint8Array): boolean | Promise<boolean> {
    if (this.closed) return false;
    this.#written = true;
    const accepted = this.#response.write(chunk);
    this.#unsent.wrote([chunk]);
    if (accepted) return true;
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  end(trailers?: ResponseHeaders): void {
    if (this.closed) return;
    this.#ended = true;
    if (trailers !== undefined) this.#response.addTrailers({ ...trailers });
    this.#finish(undefined);
  }

  send(status: number, headers: ResponseHeaders, body: string | Uint8Array): void {
    if (this.closed || this.headersSent) return;
    const length = String(Buffer.byteLength(body));
    this.#writeHead(status, status === 204 ? headers : { ...headers, "content-length": length });
    this.#ended = true;
    // A string leaves in one write with the headers.
    this.#finish(isBodyless(this.method, status) ? "" : body);
  }

  destroy(): void {
    this.#response.destroy();
  }

  #writeHead(status: number, headers: ResponseHeaders): void {
    const merged = mergedHeaders(this.#set, headers);
    const rest = this.#request.complete ? 0 : this.#restMax();
    const isLast = rest > 0 && (this.#expectsContinue || rest > keptBytesMax);
    this.#closes = isLast || merged["connection"] === "close" || !this.#response.shouldKeepAlive;
    this.#response.writeHead(status, isLast ? { ...merged, connection: "close" } : { ...merged });
  }

  #callOnWritable(): void {
    const callback = this.#onWritable;
    this.#onWritable = undefined;
    callback?.();
  }

  /** Returns the largest number of bytes of the request that can follow. */
  #restMax(): number {
    if (this.headers["transfer-encoding"] !== undefined) return Number.POSITIVE_INFINITY;
    return Number(this.headers["content-length"] ?? 0);
  }

  /**
   * Ends the response. If the connection ends with it, Node closes the socket at once, so the response is ended only
   * after the rest of the request has been read.
   */
  #finish(body: string | Uint8Array | undefined): void {
    const request = this.#request;
    const response = this.#response;
    void this.#body.return();
    if (request.complete) {
      response.end(body);
      if (body !== undefined) this.#unsent.wrote([body]);
      request.resume();
    } else if (this.#closes) {
      if (body !== undefined && body.length > 0) response.write(body);
      if (body !== undefined) this.#unsent.wrote([body]);
      this.#discardRest(() => response.end());
    } else {
      response.end(body);
      if (body !== undefined) this.#unsent.wrote([body]);
      this.#discardRest((whole) => {
        if (!whole) request.socket.destroy();
      });
    }
  }

  #discardRest(onEnd: (whole: boolean) => void): void {
    this.#discarding = true;
    discardRest(this.#request, this.#clock, onEnd);
  }

  #onClose(): void {
    this.#unsent.close();
    this.#head?.count(0);
    this.#onWritable = undefined;
    this.#resolveWaiters(false);
    if (this.#ended) return;
    const reason = clientDisconnected();
    this.#body.fail(reason);
    this.#disconnected?.abort(reason);
  }

  #resolveWaiters(open: boolean): void {
    for (const resolve of this.#waiters.splice(0)) resolve(open);
  }
}

/** Estimates the memory of the head of a request, in bytes. Node keeps names and values twice. */
function headBytes({ rawHeaders, url = "" }: IncomingMessage): number {
  let bytes = requestBytes + url.length;
  for (const text of rawHeaders) bytes += 2 * text.length;
  return bytes;
}
