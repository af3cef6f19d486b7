/**
 * What a client of the run is given: where the nodes are, how fast to go, where to write down what happened.
 *
 * Never: faster than asked; a client that fails at once would else do nothing else.
 */
import { createClient } from "@connectrpc/connect";
import { faultOf, type TailraceClient } from "../../../../src/client/mod.ts";
import { Log } from "../../../../src/gen/log/v1/log_pb.js";
import type { Prng } from "../../../../src/lib/prng.ts";
import type { NodeConnections, Protocol } from "./node-connections.ts";
import type { Failure, History } from "../history.ts";

/** The nodes as clients know them. */
export interface Addresses {
  /** Where nodes listen, host and port, running or not. */
  direct(): readonly string[];
  /** What nodes tell of each other. */
  advertised(): readonly string[];
}

export interface RunContext {
  readonly history: History;
  readonly addresses: Addresses;
  readonly connections: NodeConnections;
  /** Ends all clients. */
  readonly signal: AbortSignal;
  /** Of every tail, what it is to be shown next. */
  readonly positions: Map<string, number>;
  /** Appends a second that one writer makes at most. */
  readonly rate: number;
}

/** One client: who it is and what it draws from. */
export interface ClientContext extends RunContext {
  readonly name: string;
  readonly chance: Prng;
}

export type Client = (self: ClientContext) => Promise<void>;

/** A call is given up after this time, milliseconds. */
export const callMs = 6_000;

/** Waits, or ends early when the run does. */
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

/** Does one thing after another, each at the earliest so long after the one before had begun, until the run ends. */
export async function atPace(self: ClientContext, everyMs: number, work: () => Promise<unknown>): Promise<void> {
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

/** Of what happened on this side of the wire: nothing is known of the other. */
export const cutOff = (reason: unknown): Failure => ({
  kind: "unknown",
  written: "unknown",
  message: String(reason),
});

/** The bare RPCs of one node. */
export const logOf = ({ connections }: RunContext, addr: string, protocol: Protocol = "grpc") =>
  createClient(Log, connections.transport(addr, protocol));

/** The package's own client, told of every node by the address that it advertises. */
export const clusterClient = ({ connections, addresses }: RunContext): TailraceClient =>
  connections.client(addresses.advertised());
