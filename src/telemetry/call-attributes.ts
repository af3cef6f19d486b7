/**
 * Attributes and log levels of calls, by OpenTelemetry's semantic conventions for RPC and HTTP servers.
 */
import { Fault } from "../fault.ts";
import type { Attributes, CallStart, Protocol, SpanOptions } from "../lib/telemetry.ts";

/** Codes that mean that the node failed, not the caller: server errors in the conventions. */
const serverFailed: ReadonlySet<string> = new Set([
  "unknown",
  "deadline_exceeded",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
]);
const errorCodes: ReadonlySet<string> = new Set(["unknown", "internal", "data_loss"]);
const warnCodes: ReadonlySet<string> = new Set([
  "permission_denied",
  "unauthenticated",
  "unavailable",
  "deadline_exceeded",
  "resource_exhausted",
]);

/** Returns whether the call's failure is an error of the server. */
export const isServerError = (code: string): boolean => serverFailed.has(code);

/** Failures that are ordinary: redirects to the leader, and a mistake of the client for which gRPC requires "internal". */
const ordinary: readonly unknown[] = ["not-leader", "unexpected-compression"];

/** Returns the level of a call's log line. Canceled calls are ordinary, too. */
export function logLevelOf(code: string, error: unknown): "error" | "warn" | "info" | "debug" {
  if (code === "canceled") return "debug";
  if (error instanceof Fault && ordinary.includes(error.kind)) return "info";
  return errorCodes.has(code) ? "error" : warnCodes.has(code) ? "warn" : "info";
}

const systems: Readonly<Record<Exclude<Protocol, "http">, string>> = {
  grpc: "grpc",
  "grpc-web": "grpc",
  connect: "connectrpc",
  peer: "tailrace",
};

export function methodAttributes(method: string, protocol: Protocol): Attributes {
  if (protocol !== "http") return { "rpc.system.name": systems[protocol], "rpc.method": method };
  const [verb = "_OTHER", route] = method.split(" ");
  return { "http.request.method": verb, ...(route === undefined ? {} : { "http.route": route }) };
}

/** Returns the attributes of a call's result. gRPC writes its codes in capitals. */
export function outcomeAttributes(protocol: Protocol, code: string): Attributes {
  const failed = serverFailed.has(code) ? { "error.type": code } : {};
  if (protocol === "http") return code === "ok" ? {} : { "error.type": code };
  const spelled = protocol === "grpc" || protocol === "grpc-web" ? code.toUpperCase() : code;
  return { "rpc.status_code": spelled, ...failed };
}

export function serverSpan({ method, protocol, subject, peer, traceparent }: CallStart): SpanOptions {
  const colon = peer.lastIndexOf(":");
  return {
    kind: "server",
    parent: traceparent,
    attributes: {
      ...methodAttributes(method, protocol),
      "enduser.id": subject,
      "network.peer.address": colon < 0 ? peer : peer.slice(0, colon),
      ...(colon < 0 ? {} : { "network.peer.port": Number(peer.slice(colon + 1)) }),
    },
  };
}
