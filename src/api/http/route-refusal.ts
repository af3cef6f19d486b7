/**
 * Responses to requests that reach no method and no route, in the protocol of the client: a gRPC status, the end of a
 * Connect stream, or an HTTP status with one line of JSON. The body of the request is not read.
 */
import { endStreamToJson } from "@connectrpc/connect/protocol-connect";
import { Fault } from "../../fault.ts";
import { encodeEnvelope, envelopeFlag } from "../../lib/envelope.ts";
import { connectErrorOf, errorObject } from "../calls/error-mapping.ts";
import { grpcStatusOf } from "../connect/grpc-message.ts";
import { jsonOptions } from "../connect/json-options.ts";
import { type Exchange, headerOf, pathOf, quoted, type ResponseHeaders } from "./exchange/exchange.ts";

export interface RouteRefusal {
  /** Sent to clients of every protocol. */
  readonly fault: Fault;
  /** The HTTP status, for clients that read the outcome from it. */
  readonly status: number;
  readonly headers?: ResponseHeaders;
}

type Framing = "grpc" | "grpc-web" | "connect-stream" | "http";

/** Sends the refusal and ends the exchange. */
export function refuse(exchange: Exchange, { fault, status, headers = {} }: RouteRefusal): void {
  const type = headerOf(exchange, "content-type") ?? "";
  const noStore = { "cache-control": "no-store", ...headers };
  switch (framingOf(type, status)) {
    case "grpc":
      exchange.respond(200, { ...headers, "content-type": "application/grpc" });
      exchange.end(Object.fromEntries(grpcStatusOf(connectErrorOf(fault))));
      return;
    case "grpc-web": {
      // Trailers-Only: in a response without a message, the trailers are sent as headers.
      const trailers = Object.fromEntries(grpcStatusOf(connectErrorOf(fault)));
      const mode = type.startsWith("application/grpc-web-text") ? "grpc-web-text" : "grpc-web";
      exchange.send(200, { ...noStore, "content-type": `application/${mode}+proto`, ...trailers }, "");
      return;
    }
    case "connect-stream": {
      const end = endStreamToJson(new Headers(), connectErrorOf(fault), jsonOptions);
      const body = encodeEnvelope(Buffer.from(JSON.stringify(end)), envelopeFlag.endStream);
      exchange.send(200, { ...noStore, "content-type": type }, body);
      return;
    }
    case "http": {
      const body = `${JSON.stringify(errorObject(fault))}\n`;
      exchange.send(status, { ...noStore, "content-type": "application/json" }, body);
    }
  }
}

/** A client that made a mistake in the protocol gets the HTTP status. */
function framingOf(type: string, status: number): Framing {
  const [, web] = /^application\/grpc(-web(?:-text)?)?(?=[+; ]|$)/i.exec(type) ?? [];
  if (status === 505) return "http";
  if (/^application\/grpc(?=[-+; ]|$)/i.test(type)) return web === undefined ? "grpc" : "grpc-web";
  if (status === 415 || status === 405) return "http";
  return /^application\/connect\+(json|proto)$/.test(type) ? "connect-stream" : "http";
}

/** Refuses a request to which Connect's handlers respond with only a status. */
export function refuseRpc(exchange: Exchange, status: number, allowed: readonly string[] = ["POST"]): void {
  const headers: Record<string, string> = {};
  if (status === 405) headers["allow"] = allowed.join(", ");
  if (status === 505) headers["connection"] = "close";
  refuse(exchange, { fault: faultOf(exchange, status), status, headers });
}

function faultOf(exchange: Exchange, status: number): Fault {
  const path = quoted(pathOf(exchange));
  switch (status) {
    case 404:
      return new Fault("unimplemented", {
        message: `there is no method ${path}; grpcurl and buf curl can list them`,
      });
    case 405:
      return new Fault("unimplemented", {
        message: `${quoted(exchange.method)} is not supported for ${path}; use POST`,
      });
    case 415:
      // Code "unknown": Connect's specification maps this status to it, and gRPC servers send it for an unknown codec.
      return new Fault("unknown", {
        message:
          `content type ${quoted(headerOf(exchange, "content-type") ?? "(none)")} is not supported for ${path}; ` +
          "unary methods take application/json (curl -H 'content-type: application/json'), " +
          "streams take application/connect+json; for a live stream with curl use GET /tail",
      });
    case 505:
      return new Fault("bad-request", { message: `${path} streams both ways and needs HTTP/2` });
    default:
      return new Fault("unknown", { message: "the request could not be served", written: "unknown" });
  }
}

/** Refuses a path that no route serves. Returns the code, for the log. `opsAddress` is `host:port` of the probes. */
export function refuseUnknownPath(
  exchange: Exchange,
  opsAddress: string | undefined,
): "unimplemented" | "not_found" {
  const path = pathOf(exchange);
  if (isRpcRequest(exchange, path)) {
    const message = `there is no service for ${quoted(path)}; grpcurl can list the services`;
    refuse(exchange, { fault: new Fault("unimplemented", { message }), status: 404 });
    return "unimplemented";
  }
  refuse(exchange, {
    fault: new Fault("not-found", { message: notHere(path, opsAddress) }),
    status: 404,
  });
  return "not_found";
}

const opsPaths: ReadonlySet<string> = new Set(["/livez", "/healthz", "/readyz", "/metrics", "/version"]);

/** The message for an unknown path. People look for probes and metrics on the port that they know. */
function notHere(path: string, opsAddress: string | undefined): string {
  if (!opsPaths.has(path))
    return `there is no ${quoted(path)} here, only /, /tail, /tickets, /logs, /logs/NAME, /v1/stream/NAME, /cursors, /cursors/NAME, /ui/, /docs/ and the RPCs`;
  const where = opsAddress === undefined ? "the address of --ops-addr" : `http://${opsAddress}${path}`;
  return `${path} is not on this port, it is at ${where}`;
}

/** Recognizes a client of an RPC protocol, by its content type or by the form of its path. */
function isRpcRequest(exchange: Exchange, path: string): boolean {
  if (/^application\/(grpc|connect\+|proto$)/.test(headerOf(exchange, "content-type") ?? "")) return true;
  const isPath = /^\/[A-Za-z_][\w.]{0,254}\/[A-Za-z_]\w{0,254}$/.test(path);
  return (
    isPath && (exchange.method === "POST" || headerOf(exchange, "connect-protocol-version") !== undefined)
  );
}
