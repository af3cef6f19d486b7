/** What clients of named logs share, and how they record an operation. */
import { createClient } from "@connectrpc/connect";
import { faultOf } from "../../../src/client/mod.ts";
import { Logs } from "../../../src/gen/log/v1/log_pb.js";
import { type ClientContext, logOf } from "../clients/client-context.ts";
import type { Protocol } from "../clients/node-connections.ts";
import type { Failure } from "../history.ts";
import type { KnownLogs, MeantLog } from "./known-logs.ts";

export interface NamedContext extends ClientContext {
  readonly known: KnownLogs;
  /** Tail → its log and the next offset it expects. */
  readonly tailed: Map<string, { readonly logId: string; readonly next: number }>;
}

export type NamedClient = (self: NamedContext) => Promise<void>;

/** Runs a client several times at once: a call to a node that is down takes long. */
export const copies =
  (count: number, client: NamedClient): NamedClient =>
  async (self) => {
    const ids = Array.from({ length: count }, (_, n) => `${n}`);
    await Promise.all(
      ids.map((id) => client({ ...self, name: `${self.name}.${id}`, chance: self.chance.stream(id) })),
    );
  };

/** Returns a function that makes unique names for the records of one client. */
export function namer({ name, history }: ClientContext): () => string {
  let count = 0;
  return () => history.intern(`${name}-${count++}`);
}

/** The fields of a request. */
export const requestOf = ({ log, statedId }: MeantLog) => ({
  log,
  ...(statedId === undefined ? {} : { logId: statedId }),
});

/** An RPC client of a random node. */
export const anyLog = (self: ClientContext) =>
  logOf(self, self.chance.pick(self.addresses.direct()), self.chance.pick<Protocol>(["grpc", "connect"]));

export const anyLogs = ({ chance, connections, addresses }: ClientContext) =>
  createClient(Logs, connections.transport(chance.pick(addresses.direct()), "grpc"));

/** A record below the lowest offset is not missing but trimmed. */
export function namedFailureOf(reason: unknown, effect: "read" | "write" = "write"): Failure {
  const { kind, written, message, facts } = faultOf(reason, effect);
  const { lowest, offset, reason: word } = facts;
  const isTrimmed =
    kind === "out-of-range" && lowest !== undefined && offset !== undefined && offset < lowest;
  return {
    kind: isTrimmed ? "trimmed" : kind,
    written,
    message,
    ...(word === undefined ? {} : { reason: word }),
  };
}

/** Whether the failure says that the log is not there. */
export const isGone = ({ kind, reason }: Failure): boolean =>
  kind === "not-found" || (kind === "failed-precondition" && reason === "ANOTHER_LOG");
