/**
 * The two speakers of HTTP behind the listener: Node's HTTP/1.1 server, which never listens itself, and the service's
 * own HTTP/2. Connections are handed to them. What a connection makes either of them throw ends that connection.
 */
import {
  createServer as createHttp,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type ClientConnection, NodeExchange, type Router, requestTarget } from "../../api/mod.ts";
import { defaultH2Limits, type H2Limits, H2Session } from "../../http2/mod.ts";
import { guarded } from "../../lib/boundary.ts";
import type { Logger } from "../../lib/telemetry.ts";
import { systemClock } from "../../lib/time/clock.ts";
import { LoopTurns } from "../../lib/time/loop-turns.ts";
import { workTurns } from "../../lib/time/work-turns.ts";
import type { MemoryBudget } from "../../memory/mod.ts";
import { type Http1Refusal, http1Bytes, refusalBody } from "../connections/refusal.ts";
import { sendAndClose } from "../connections/send-and-close.ts";
import { RequestOrder, waitingMaxDefault } from "./http1-request-order.ts";

/** Hears of a connection whether it has requests under way. */
export interface Activity {
  busy(): void;
  idle(): void;
}

export interface HttpServers {
  /** Takes a connection that speaks this version; answers how to end it when it is idle. */
  serve(spoken: "http1" | "h2c", socket: Socket, caller: ClientConnection, activity: Activity): () => void;
  /** No new requests: idle connections end, streams under way finish. */
  drain(): void;
}

const waitingMaxBusy = 16;
const headerBytesMax = 16 * 1024;

/** The same for both versions of HTTP. */
export type HttpLimits = H2Limits["times"];

export const defaultHttpLimits: HttpLimits = defaultH2Limits.times;

export function httpServers(
  router: Router,
  log: Logger,
  limits: HttpLimits = defaultHttpLimits,
  memory?: MemoryBudget,
): HttpServers {
  const callers = new WeakMap<
    object,
    { readonly caller: ClientConnection; readonly activity: Activity; requests: number }
  >();
  /** Requests that wait on one connection: few while memory is short. */
  const waitingMax = (): number => (memory?.busy === true ? waitingMaxBusy : waitingMaxDefault);
  const orders = new WeakMap<object, RequestOrder>();
  const sessions = new Set<H2Session>();
  const lingering = new WeakSet<object>();
  const turns = new LoopTurns(systemClock);
  const work = workTurns(systemClock);
  let draining = false;

  const serveRequest = (
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ): void => {
    const known = callers.get(request.socket);
    if (known === undefined) {
      response.destroy();
      return;
    }
    const { caller, activity } = known;
    if (known.requests++ === 0) activity.busy();
    const { socket, method } = request;
    let order = orders.get(socket);
    if (order === undefined) {
      order = new RequestOrder(waitingMax);
      orders.set(socket, order);
    }
    const { done } = order;
    response.on("close", () =>
      guarded(socket, log, "an HTTP/1.1 connection failed and is ended", () => {
        if (draining) socket.destroySoon();
        if (--known.requests === 0) activity.idle();
        done();
      }),
    );
    const place = requestTarget(request);
    const wrong = "wrong" in place ? notARequest(place.wrong) : wrongWith(request);
    const { target, authority } = "wrong" in place ? { target: "/", authority: undefined } : place;
    const { secure } = caller;
    const options = { target, authority, clock: systemClock, memory, secure, expectsContinue };
    const exchange = new NodeExchange(request, response, options);
    if (draining || wrong !== undefined) exchange.setHeader("connection", "close");
    const inTime = order.add(method === "POST" && wrong === undefined, () => {
      const serve = (): void => {
        if (socket.destroyed) return;
        if (wrong === undefined) router.request(exchange, caller);
        else exchange.send(wrong.status, jsonType, refusalBody(wrong));
      };
      if (work.mayBegin()) serve();
      else work.wait(() => guarded(socket, log, "an HTTP/1.1 connection failed and is ended", serve));
    });
    if (!inTime) socket.destroy();
  };

  /** Answers what is not a request, and ends the connection. */
  const refuse = (socket: Duplex, refusal: Http1Refusal): void => {
    // What follows a malformed request cannot be read as a request.
    if (lingering.has(socket)) return;
    lingering.add(socket);
    sendAndClose(socket, http1Bytes(refusal), systemClock);
  };

  const onRequest =
    (expectsContinue: boolean) =>
    (request: IncomingMessage, response: ServerResponse): void =>
      guarded(request.socket, log, "an HTTP/1.1 connection failed and is ended", () =>
        serveRequest(request, response, expectsContinue),
      );

  const http: HttpServer = createHttp({
    maxHeaderSize: headerBytesMax,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.idleMs,
    connectionsCheckingInterval: Math.min(5_000, limits.headersMs),
    noDelay: true,
  });
  http.on("request", onRequest(false));
  // 100 Continue is sent when the body is read, and only then.
  http.on("checkContinue", onRequest(true));
  http.on("checkExpectation", onRequest(false));
  http.on("connect", (_request: IncomingMessage, socket: Duplex) =>
    guarded(socket, log, "an HTTP/1.1 connection failed and is ended", () => refuse(socket, noTunnels)),
  );
  http.on("clientError", (error: NodeJS.ErrnoException, socket) =>
    guarded(socket, log, "an HTTP/1.1 connection failed and is ended", () => {
      // The connection is being ended already.
      if (lingering.has(socket)) return;
      if (error.code === "ECONNRESET" || !socket.writable) socket.destroy();
      else refuse(socket, refusalOf(error.code));
    }),
  );
  // Its watch over slow requests begins with this event, and connections come to it from elsewhere.
  http.emit("listening");

  return {
    serve(spoken, socket, caller, activity) {
      if (spoken === "http1") {
        callers.set(socket, { caller, activity, requests: 0 });
        http.emit("connection", socket);
        return () => socket.destroy();
      }
      const session: H2Session = new H2Session(socket, {
        clock: systemClock,
        turns,
        log,
        limits: { ...defaultH2Limits, times: limits },
        memory,
        secure: caller.secure,
        serve: (stream, headers) => router.stream(stream, headers, caller),
        onBusy: (busy) => (busy ? activity.busy() : activity.idle()),
        onClose: () => sessions.delete(session),
      });
      sessions.add(session);
      if (draining) session.drain();
      return () => {
        session.drain();
        // Once GOAWAY has left.
        systemClock.soon(() => socket.destroy());
      };
    },
    drain() {
      draining = true;
      http.close();
      for (const session of sessions) session.drain();
    },
  };
}

const jsonType = { "content-type": "application/json", "x-content-type-options": "nosniff" };

const notARequest = (message: string): Http1Refusal => ({ status: 400, code: "invalid_argument", message });

const noTunnels: Http1Refusal = {
  status: 405,
  code: "unimplemented",
  message: "CONNECT is not served here, this is no proxy",
  headers: ["allow: GET, POST"],
};

/** What Node's parser lets pass, and what has no meaning here. */
function wrongWith({ headers }: IncomingMessage): Http1Refusal | undefined {
  const coding = headers["transfer-encoding"];
  if (coding === undefined || coding.trim().toLowerCase() === "chunked") return undefined;
  const message = `the transfer coding "${coding}" is not served, only chunked`;
  return { status: 501, code: "unimplemented", message };
}

function refusalOf(code: string | undefined): Http1Refusal {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return { ...notARequest(`the headers exceed ${headerBytesMax} bytes`), status: 431 };
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { ...notARequest("the request came too slowly"), status: 408 };
    default:
      return notARequest("this is not a request in HTTP/1.1");
  }
}
