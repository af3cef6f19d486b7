/**
 * Serves HTTP/1.1 on sockets that the listener passes to it, with Node's parser. What a handler throws ends its
 * connection and nothing else.
 */
import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import {
  type ClientConnection,
  isAppendRequest,
  NodeExchange,
  type Router,
  requestTarget,
} from "../../api/mod.ts";
import { guarded } from "../../lib/boundary.ts";
import type { Logger } from "../../lib/telemetry.ts";
import { systemClock } from "../../lib/time/clock.ts";
import { workTurns } from "../../lib/time/work-turns.ts";
import type { MemoryBudget } from "../../memory/mod.ts";
import { type Http1Refusal, http1Bytes, refusalBody } from "../connections/refusal.ts";
import { sendAndClose } from "../connections/send-and-close.ts";
import type { Activity, HttpLimits } from "./http-limits.ts";
import {
  headerBytesMax,
  malformedRequest,
  parserRefusal,
  requestRefusal,
  tunnelRefusal,
} from "./http1-refusals.ts";
import { RequestOrder, waitingMaxBusy, waitingMaxDefault } from "./http1-request-order.ts";

/** The longest pause between two looks for requests that are too slow. */
const timeoutCheckMs = 5_000;
const jsonHeaders = { "content-type": "application/json", "x-content-type-options": "nosniff" };

export interface Http1ServerOptions {
  readonly router: Router;
  readonly log: Logger;
  readonly limits: HttpLimits;
  readonly memory: MemoryBudget | undefined;
}

/** A connection with its requests. */
interface Http1Connection {
  readonly client: ClientConnection;
  readonly activity: Activity;
  readonly order: RequestOrder;
  /** Requests without a complete response. */
  requests: number;
}

export class Http1Server {
  readonly #options: Http1ServerOptions;
  readonly #server: HttpServer;
  readonly #connections = new WeakMap<object, Http1Connection>();
  /** Sockets that get a last message and are closed. */
  readonly #refused = new WeakSet<object>();
  readonly #work = workTurns(systemClock);
  #isDraining = false;

  constructor(options: Http1ServerOptions) {
    const { headersMs, requestMs, idleMs } = options.limits;
    this.#options = options;
    this.#server = createServer({
      maxHeaderSize: headerBytesMax,
      headersTimeout: headersMs,
      requestTimeout: requestMs,
      keepAliveTimeout: idleMs,
      connectionsCheckingInterval: Math.min(timeoutCheckMs, headersMs),
      noDelay: true,
    });
    this.#listen();
  }

  #listen(): void {
    const server = this.#server;
    const onRequest = (expectsContinue: boolean) => (request: IncomingMessage, response: ServerResponse) =>
      this.#guard(request.socket, () => this.#onRequest(request, response, expectsContinue));
    server.on("request", onRequest(false));
    // 100 Continue is sent when the body is read, and only then.
    server.on("checkContinue", onRequest(true));
    server.on("checkExpectation", onRequest(false));
    server.on("connect", (_request: IncomingMessage, socket: Duplex) =>
      this.#guard(socket, () => this.#refuse(socket, tunnelRefusal)),
    );
    server.on("clientError", (error: NodeJS.ErrnoException, socket) =>
      this.#guard(socket, () => this.#onClientError(error, socket)),
    );
    // Node begins to look for slow requests with this event. The server itself never listens.
    server.emit("listening");
  }

  /** Serves a connection. Returns how to end it while it has no request. */
  serve(socket: Socket, client: ClientConnection, activity: Activity): () => void {
    const order = new RequestOrder(() =>
      this.#options.memory?.busy === true ? waitingMaxBusy : waitingMaxDefault,
    );
    this.#connections.set(socket, { client, activity, order, requests: 0 });
    this.#server.emit("connection", socket);
    return () => socket.destroy();
  }

  /** Takes no new requests. Idle connections end, others end with their response. */
  drain(): void {
    this.#isDraining = true;
    this.#server.close();
  }

  #guard(socket: Duplex, work: () => void): void {
    guarded(socket, this.#options.log, "an HTTP/1.1 connection failed and is ended", work);
  }

  #onRequest(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const { socket, method } = request;
    const connection = this.#connections.get(socket);
    if (connection === undefined) {
      response.destroy();
      return;
    }
    const { client, activity, order } = connection;
    if (connection.requests++ === 0) activity.busy();
    response.on("close", () =>
      this.#guard(socket, () => {
        if (this.#isDraining) socket.destroySoon();
        if (--connection.requests === 0) activity.idle();
        order.done();
      }),
    );
    const place = requestTarget(request);
    const refusal = "wrong" in place ? malformedRequest(place.wrong) : requestRefusal(request);
    const { target, authority } = "wrong" in place ? { target: "/", authority: undefined } : place;
    const exchange = new NodeExchange(request, response, {
      target,
      authority,
      expectsContinue,
      clock: systemClock,
      memory: this.#options.memory,
      secure: client.secure,
    });
    if (this.#isDraining || refusal !== undefined) exchange.setHeader("connection", "close");
    const serve = (): void => {
      if (socket.destroyed) return;
      if (refusal === undefined) this.#options.router.request(exchange, client);
      else exchange.send(refusal.status, jsonHeaders, refusalBody(refusal));
    };
    const isAppend = refusal === undefined && isAppendRequest(method, target);
    if (!order.add(isAppend, () => this.#whenMayBegin(socket, serve))) socket.destroy();
  }

  /** Runs `serve` now, or when the event loop has time for it. */
  #whenMayBegin(socket: Socket, serve: () => void): void {
    if (this.#work.mayBegin()) serve();
    else this.#work.wait(() => this.#guard(socket, serve));
  }

  #onClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
    if (this.#refused.has(socket)) return;
    if (error.code === "ECONNRESET" || !socket.writable) socket.destroy();
    else this.#refuse(socket, parserRefusal(error.code));
  }

  /** Refuses what is not a request and ends the connection, because the bytes behind it cannot be read as one. */
  #refuse(socket: Duplex, refusal: Http1Refusal): void {
    if (this.#refused.has(socket)) return;
    this.#refused.add(socket);
    sendAndClose(socket, http1Bytes(refusal), systemClock);
  }
}
