/**
 * The two speakers of HTTP behind the listener. They never listen themselves; connections are handed to them.
 *
 * HTTP/2 is spoken by the service's own session, which offers each stream to the express lane and hands all others to
 * Node's HTTP/2 server over a connection inside the process.
 *
 * Never: tells one kind of connection from another.
 */
import { createServer as createHttp, type Server as HttpServer } from "node:http";
import { createServer as createHttp2, type Http2Server } from "node:http2";
import type { Socket } from "node:net";
import { systemClock } from "../lib/clock.ts";
import { type Caller, type Front, H2Session } from "../service/mod.ts";
import { lastWords } from "./last-words.ts";
import { RequestOrder } from "./request-order.ts";

/** The second argument of a server's `stream` event and so on come without types that fit a listener made later. */
type StreamArguments = Parameters<Front["stream"]>;

export interface HttpServers {
  /** Takes a connection that speaks this version. */
  serve(spoken: "http1" | "h2c", socket: Socket, caller: Caller): void;
  /** No new requests: idle connections end, streams under way finish. */
  drain(): void;
}

const headerBytesMax = 16 * 1024;
const streamWindowBytes = 1024 * 1024;
const connectionWindowBytes = 4 * 1024 * 1024;

export interface HttpLimits {
  /** From the first byte of a request to the end of its headers. */
  readonly headersMs: number;
  /** From the first byte of a request to its end. */
  readonly requestMs: number;
  /** Between requests of one HTTP/1 connection. */
  readonly idleMs: number;
}

export const defaultHttpLimits: HttpLimits = { headersMs: 10_000, requestMs: 300_000, idleMs: 65_000 };

export function httpServers(front: Front, limits: HttpLimits = defaultHttpLimits): HttpServers {
  const callers = new WeakMap<object, Caller>();
  const orders = new WeakMap<object, RequestOrder>();
  const sessions = new Set<H2Session>();
  const lingering = new WeakSet<object>();
  let draining = false;

  const http: HttpServer = createHttp(
    {
      maxHeaderSize: headerBytesMax,
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      keepAliveTimeout: limits.idleMs,
      connectionsCheckingInterval: Math.min(5_000, limits.headersMs),
      noDelay: true,
    },
    (request, response) => {
      const caller = callers.get(request.socket);
      if (caller === undefined) {
        response.destroy();
        return;
      }
      if (draining) response.setHeader("connection", "close");
      const { socket, method } = request;
      let order = orders.get(socket);
      if (order === undefined) {
        order = new RequestOrder();
        orders.set(socket, order);
      }
      const { done } = order;
      response.on("close", () => {
        if (draining) socket.destroySoon();
        done();
      });
      const inTime = order.add(method === "POST", () => {
        if (!socket.destroyed) front.request(request, response, caller);
      });
      if (!inTime) socket.destroy();
    },
  );
  http.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // What comes behind a request that is no request is none either.
    if (lingering.has(socket)) return;
    lingering.add(socket);
    if (error.code === "ECONNRESET" || !socket.writable) socket.destroy();
    else lastWords(socket, badRequest(error.code), systemClock);
  });
  // Its watch over slow requests begins with this event, and connections come to it from elsewhere.
  http.emit("listening");

  const http2: Http2Server = createHttp2({
    maxSessionMemory: 64,
    maxHeaderListPairs: 128,
    maxSettings: 32,
    unknownProtocolTimeout: limits.headersMs,
    settings: {
      enablePush: false,
      initialWindowSize: streamWindowBytes,
      maxConcurrentStreams: 2048,
      maxHeaderListSize: headerBytesMax,
    },
  });
  let arriving: Caller | undefined;
  http2.on("session", (session) => {
    if (arriving !== undefined) callers.set(session, arriving);
    session.on("error", () => undefined);
    session.setLocalWindowSize(connectionWindowBytes);
  });
  http2.on("stream", ((...[stream, headers, , rawHeaders]: unknown[]) => {
    const [bare, pairs] = [stream as StreamArguments[0], headers as StreamArguments[1]];
    // A stream that was reset in the same packet comes here closed already: nothing would ever tell its handler.
    if (bare.destroyed || bare.closed || bare.session === undefined) return;
    const caller = callers.get(bare.session);
    if (caller === undefined) bare.destroy();
    else front.stream(bare, pairs, rawHeaders as string[], caller);
  }) as never);
  http2.on("sessionError", () => undefined);

  return {
    serve(spoken, socket, caller) {
      if (spoken === "http1") {
        callers.set(socket, caller);
        http.emit("connection", socket);
        return;
      }
      const session: H2Session = new H2Session(socket, {
        clock: systemClock,
        serve: (stream, headers) => front.express(stream, headers, caller),
        fallback: (connection) => {
          arriving = caller;
          http2.emit("connection", connection);
          arriving = undefined;
        },
        onClose: () => sessions.delete(session),
      });
      sessions.add(session);
      if (draining) session.drain();
    },
    drain() {
      draining = true;
      http.close();
      for (const session of sessions) session.drain();
    },
  };
}

function badRequest(code: string | undefined): string {
  const tooLarge = code === "HPE_HEADER_OVERFLOW";
  const late = code === "ERR_HTTP_REQUEST_TIMEOUT";
  const status = tooLarge
    ? "431 Request Header Fields Too Large"
    : late
      ? "408 Request Timeout"
      : "400 Bad Request";
  const message = tooLarge
    ? `the headers exceed ${headerBytesMax} bytes`
    : late
      ? "the request came too slowly"
      : "this is not a request in HTTP/1.1";
  const body = `${JSON.stringify({ code: "invalid_argument", message, written: "no" })}\n`;
  return `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`;
}
