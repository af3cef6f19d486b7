/**
 * The context of a client in a run: the addresses of the nodes, its rate, and the history for its operations.
 */
import { createClient } from "@connectrpc/connect";
import { faultOf, type TailraceClient } from "../../../src/client/mod.ts";
import { Log } from "../../../src/gen/log/v1/log_pb.js";
import type { Prng } from "../../../src/lib/prng.ts";
import type { Failure, History } from "../history.ts";
import type { NodeConnections, Protocol } from "./node-connections.ts";

/** The nodes as clients know them. */
export interface Addresses {
  /** The addresses on which nodes listen, also of nodes that are down. */
  direct(): readonly string[];
  /** The addresses that nodes advertise. */
  advertised(): readonly string[];
}

export interface RunContext {
  readonly history: History;
  readonly addresses: Addresses;
  readonly connections: NodeConnections;
  /** Ends all clients. */
  readonly signal: AbortSignal;
  /** Tail → the next offset it expects. */
  readonly positions: Map<string, number>;
  /** Largest number of appends per second of one writer. */
  readonly rate: number;
}

/** The context of one client. */
export interface ClientContext extends RunContext {
  readonly name: string;
  readonly chance: Prng;
}

export type Client = (self: ClientContext) => Promise<void>;

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

export function failureOf(reason: unknown, effect: "read" | "write" = "write"): Failure {
  const { kind, written, message } = faultOf(reason, effect);
  return { kind, written, message };
}

/** A failure on the client's side: the outcome at the server is unknown. */
export const cutOff = (reason: unknown): Failure => ({
  kind: "unknown",
  written: "unknown",
  message: String(reason),
});

/** An RPC client of one node, without retries. */
export const logOf = ({ connections }: RunContext, addr: string, protocol: Protocol = "grpc") =>
  createClient(Log, connections.transport(addr, protocol));

/** The package's client, with the advertised addresses of all nodes. */
export const clusterClient = ({ connections, addresses }: RunContext): TailraceClient =>
  connections.client(addresses.advertised());
