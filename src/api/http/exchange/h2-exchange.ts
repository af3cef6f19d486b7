/**
 * Implements Exchange for HTTP/2, on a stream of src/http2.
 */
import type { IncomingHttpHeaders } from "node:http2";
import { connectionFields, encodeBlock, errorCode, type H2Stream } from "../../../http2/mod.ts";
import type { MemoryShare } from "../../../memory/mod.ts";
import { bracketIpv6 } from "../origin-rules.ts";
import { BodyQueue } from "./body-queue.ts";
import {
  clientDisconnected,
  type Exchange,
  isBodyless,
  mergedHeaders,
  type ResponseHeaders,
  requestTimedOut,
} from "./exchange.ts";

/** Memory of a request besides the text of its headers, in bytes. */
const requestBytes = 2 * 1024;

const continueBlock = encodeBlock([[":status", "100"]]);

export class H2Exchange implements Exchange {
  readonly httpVersion = "2.0";
  readonly method: string;
  target: string;
  readonly headers: IncomingHttpHeaders;
  readonly authority: string | undefined;
  readonly #stream: H2Stream;
  readonly #body: BodyQueue;
  /** Returns the value of the field `date`. */
  readonly #date: () => string;
  readonly #set = new Map<string, string | readonly string[]>();
  #expectsContinue: boolean;
  #disconnected: AbortController | undefined;
  #ended = false;
  #closed = false;
  #bodyless = false;
  #waiters: ((open: boolean) => void)[] = [];
  /** Counts the memory of the request's headers. */
  readonly #head: MemoryShare | undefined;

  constructor(stream: H2Stream, headers: IncomingHttpHeaders, date: () => string) {
    this.#stream = stream;
    this.#date = date;
    this.headers = headers;
    this.method = headers[":method"] ?? "";
    this.target = headers[":path"] ?? "";
    const authority = headers[":authority"] ?? headers.host;
    this.authority = authority === undefined ? undefined : bracketIpv6(authority);
    this.#expectsContinue = headers.expect?.toLowerCase() === "100-continue";
    this.#body = new BodyQueue(stream, stream.memory);
    this.#head = stream.memory?.share("in");
    this.#head?.count(headBytes(headers));
    stream.onData = (chunk) => {
      this.#expectsContinue = false;
      this.#body.push(chunk);
    };
    stream.onEnd = () => this.#body.finish();
    stream.onDrain = () => this.#resolveWaiters(true);
    stream.onTimeout = () => this.#body.fail(requestTimedOut());
    stream.onClose = () => this.#onClose();
  }

  get body(): AsyncIterable<Uint8Array> {
    if (this.#expectsContinue) {
      this.#expectsContinue = false;
      this.#stream.respondInformational(continueBlock);
    }
    return this.#body;
  }

  get signal(): AbortSignal {
    this.#disconnected ??= new AbortController();
    if (this.#closed && !this.#ended) this.#disconnected.abort(clientDisconnected());
    return this.#disconnected.signal;
  }

  get headersSent(): boolean {
    return this.#stream.headersSent;
  }

  get closed(): boolean {
    return this.#ended || this.#closed;
  }

  get writableBytes(): number {
    return this.closed ? 0 : this.#stream.writableBytes;
  }

  whenWritable(callback: () => void): void {
    this.#stream.whenWritable(callback);
  }

  failBody(reason: unknown): void {
    this.#body.fail(reason);
  }

  setHeader(name: string, value: string | readonly string[]): void {
    this.#set.set(name, value);
  }

  respond(status: number, headers: ResponseHeaders): void {
    if (this.closed || this.headersSent) return;
    this.#bodyless = isBodyless(this.method, status);
    const fields: [string, string][] = [[":status", String(status)]];
    for (const [name, value] of Object.entries(mergedHeaders(this.#set, headers))) {
      if (connectionFields.has(name)) continue;
      if (typeof value === "string") fields.push([name, value]);
      else for (const one of value) fields.push([name, one]);
    }
    fields.push(["date", this.#date()]);
    this.#stream.respond(encodeBlock(fields));
  }

  write(chunk: Uint8Array): boolean | Promise<boolean> {
    if (this.closed) return false;
    if (this.#bodyless || this.#stream.write(chunk)) return true;
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  end(trailers?: ResponseHeaders): void {
    if (this.closed) return;
    this.#ended = true;
    this.#stream.end(trailers === undefined ? undefined : encodeBlock(Object.entries(trailers)));
  }

  send(status: number, headers: ResponseHeaders, body: string | Uint8Array): void {
    if (this.closed || this.headersSent) return;
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    this.respond(status, status === 204 ? headers : { ...headers, "content-length": String(bytes.length) });
    if (bytes.length > 0) void this.write(bytes);
    this.end();
  }

  destroy(): void {
    this.#stream.reset(errorCode.internal);
  }

  #onClose(): void {
    this.#closed = true;
    this.#head?.count(0);
    this.#resolveWaiters(false);
    if (this.#ended) {
      void this.#body.return();
      return;
    }
    const reason = clientDisconnected();
    this.#body.fail(reason);
    this.#disconnected?.abort(reason);
  }

  #resolveWaiters(open: boolean): void {
    for (const resolve of this.#waiters.splice(0)) resolve(open);
  }
}

/** Estimates the memory of the head of a request, in bytes. */
function headBytes(headers: IncomingHttpHeaders): number {
  let bytes = requestBytes;
  for (const name in headers) bytes += name.length + (headers[name]?.length ?? 0);
  return bytes;
}
