/** The RPCs of a node, by the generated Connect client, and the translation of its errors. */
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { Cluster, Cursors, Log, Logs } from "../../../src/gen/log/v1/log_pb.js";
import { errorInfoType, readErrorInfo } from "../core/error-info.ts";
import type { CallError } from "../core/failure.ts";

export interface Calls {
  readonly log: Client<typeof Log>;
  readonly logs: Client<typeof Logs>;
  readonly cursors: Client<typeof Cursors>;
  readonly cluster: Client<typeof Cluster>;
}

/** The address this page came from. */
export const ownBase = (): string => location.origin;

/** The base address of another node, reached the same way as this one. */
export const baseOf = (rpcAddr: string): string => `${location.protocol}//${rpcAddr}`;

/** A client certificate is sent to the other nodes of the cluster, too; they allow this origin by name. */
export const credentialsFor = (base: string): RequestCredentials =>
  base === location.origin ? "same-origin" : "include";

const made = new Map<string, Calls>();

/** The clients of a node; the same ones for the same address. */
export function callsTo(base: string): Calls {
  const known = made.get(base);
  if (known !== undefined) return known;
  const transport = createConnectTransport({
    baseUrl: base,
    useBinaryFormat: true,
    fetch: (input, init) => fetch(input, { ...init, credentials: credentialsFor(base) }),
  });
  const calls = {
    log: createClient(Log, transport),
    logs: createClient(Logs, transport),
    cursors: createClient(Cursors, transport),
    cluster: createClient(Cluster, transport),
  };
  made.set(base, calls);
  return calls;
}

/** Converts what a call threw. A failed fetch has no code, because no server responded. */
export function asCallError(reason: unknown): CallError {
  const error = ConnectError.from(reason);
  const unanswered = error.code === Code.Unknown && error.cause instanceof TypeError;
  const facts: Record<string, string> = {};
  for (const detail of error.details) {
    if (!("type" in detail) || detail.type !== errorInfoType) continue;
    const info = readErrorInfo(detail.value);
    Object.assign(facts, info.metadata);
    if (facts["reason"] === undefined) facts["reason"] = info.reason;
  }
  return {
    code: unanswered ? undefined : nameOf(error.code),
    message: error.rawMessage,
    facts,
    requestId: error.metadata.get("x-request-id") ?? undefined,
  };
}

/** InvalidArgument → "invalid_argument". */
const nameOf = (code: Code): string =>
  Code[code].replace(/(?<=.)[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
