/**
 * The context of a client in a run: the addresses of the nodes, its rate, what is known of the logs, and the history for its
 * operations. Clients of `default` and of named logs share it.
 */
import { createClient } from "@connectrpc/connect";
import { faultOf, type TailraceClient } from "../../../src/client/mod.ts";
import { Log } from "../../../src/gen/log/v1/log_pb.js";
import type { Prng } from "../../../src/lib/prng.ts";
import type { Failure, History } from "../history.ts";
import type { KnownLogs, MeantLog } from "../named/known-logs.ts";
import type { Answer, NodeConnections, Protocol } from "./node-connections.ts";
import { bodyOf } from "./values.ts";

/** The nodes as clients know them. */
export interface Addresses {
  /** The addresses on which nodes listen, also of nodes that are down. */
  direct(): readonly string[];
  /** The addresses that nodes advertise. */
  advertised(): readonly string[];
}

/** How far a tail has come. */
export interface TailPlace {
  /** The id of a named log. */
  readonly logId?: string;
  /** The next offset that the tail expects. */
  readonly next: number;
}

export interface RunContext {
  readonly history: History;
  readonly addresses: Addresses;
  readonly connections: NodeConnections;
  /** Ends all clients. */
  readonly signal: AbortSignal;
  readonly positions: Map<string, TailPlace>;
  readonly known: KnownLogs;
  /** Largest number of appends per second of one writer. */
  readonly rate: number;
}

/** The context of one client. */
export interface ClientContext extends RunContext {
  readonly name: string;
  readonly chance: Prng;
}

export type Client = (self: ClientContext) => Promise<void>;

/** Runs a client several times at once: a call to a node that is down takes long. */
export const copies =
  (count: number, client: Client): Client =>
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

/** The value of the record of this name. */
export const bytesOf = (name: string): Uint8Array => Buffer.from(bodyOf(name));

/** The log of a request: a named one, or `default`. */
export type Meant = Partial<MeantLog>;

/** The fields of a request that name the log. */
export const logFields = ({ log, statedId }: Meant): { readonly log?: string; readonly logId?: string } => ({
  ...(log === undefined ? {} : { log }),
  ...(statedId === undefined ? {} : { logId: statedId }),
});

/** Timeout of a call, milliseconds. */
export const callMs = 6_000;

/** Waits, or ends early if the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done, { once: true });
  });
}

/** Repeats `work` until the run ends, at most once per `everyMs`. */
export async function atPace(
  self: ClientContext,
  everyMs: number,
  work: () => Promise<unknown>,
): Promise<void> {
  while (!self.signal.aborted) {
    const began = performance.now();
    await work();
    await pause(Math.max(1, began + everyMs - performance.now()), self.signal);
  }
}

/** The failure of an operation. A record of a named log below the lowest offset is not missing but trimmed. */
export function failureOf(reason: unknown, effect: "read" | "write" = "write", log?: string): Failure {
  const { kind, written, message, facts } = faultOf(reason, effect);
  const { lowest, offset, reason: word, found } = facts;
  const isBelow = kind === "out-of-range" && lowest !== undefined && offset !== undefined && offset < lowest;
  return {
    kind: log !== undefined && isBelow ? "trimmed" : kind,
    written,
    message,
    ...(word === undefined ? {} : { reason: word }),
    ...(word === "CURSOR_VERSION_MISMATCH" ? { found: Number(found) } : {}),
  };
}

/** The failure in an error body. Without a body the outcome is unknown, unless there was no connection. */
export function failureIn({ status, json, failed }: Answer): Failure {
  const { code, message, written, reason } = json as {
    readonly [Name in "code" | "message" | "written" | "reason"]?: string;
  };
  return {
    kind: failed ?? code ?? String(status),
    written: written === "no" || failed === "ECONNREFUSED" ? "no" : "unknown",
    message: message ?? failed ?? "",
    ...(reason === undefined ? {} : { reason }),
  };
}

/** Whether the failure says that the log is not there. */
export const isGone = ({ kind, reason }: Failure): boolean =>
  kind === "not-found" || (kind === "failed-precondition" && reason === "ANOTHER_LOG");

/** A failure on the client's side: the outcome at the server is unknown. */
export const cutOff = (reason: unknown): Failure => ({
  kind: "unknown",
  written: "unknown",
  message: String(reason),
});

/** An RPC client of one node, without retries. */
const logOf = ({ connections }: RunContext, addr: string, protocol: Protocol = "grpc") =>
  createClient(Log, connections.transport(addr, protocol));

/** An RPC client of a random node. */
export const anyLog = (self: ClientContext, protocols: readonly Protocol[] = ["grpc", "connect"]) =>
  logOf(self, self.chance.pick(self.addresses.direct()), self.chance.pick(protocols));

/** The package's client, with the advertised addresses of all nodes. */
export const clusterClient = ({ connections, addresses }: RunContext): TailraceClient =>
  connections.client(addresses.advertised());
