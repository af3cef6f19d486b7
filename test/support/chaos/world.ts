/**
 * What a client of the run is given: where the nodes are, how fast to go, where to write down what happened.
 *
 * Never: faster than asked; a client that fails at once would else do nothing else.
 */
import { createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { faultOf, openClient, type TailraceClient } from "../../../src/client/mod.ts";
import { Log } from "../../../src/gen/log/v1/log_pb.js";
import type { Prng } from "../../../src/lib/prng.ts";
import type { Failure, History } from "./history.ts";

/** The nodes as clients know them. */
export interface Addresses {
  /** Where nodes listen, host and port, running or not. */
  direct(): readonly string[];
  /** What nodes tell of each other. */
  advertised(): readonly string[];
}

export interface World {
  readonly history: History;
  readonly addresses: Addresses;
  /** Ends all clients. */
  readonly signal: AbortSignal;
  /** Of every tail, what it is to be shown next. */
  readonly positions: Map<string, number>;
  /** Appends a second that one writer makes at most. */
  readonly rate: number;
}

/** One client: who it is and what it draws from. */
export interface Self extends World {
  readonly name: string;
  readonly chance: Prng;
}

export type Client = (self: Self) => Promise<void>;

export type Protocol = "grpc" | "grpc-web" | "connect" | "json";

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
export async function atPace(self: Self, everyMs: number, work: () => Promise<unknown>): Promise<void> {
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

/** The bare RPCs of one node, without retries; connections are kept. */
export class Stubs {
  readonly #transports = new Map<string, Transport>();

  log(addr: string, protocol: Protocol) {
    const key = `${protocol} ${addr}`;
    let transport = this.#transports.get(key);
    if (transport === undefined) {
      transport = transportTo(addr, protocol);
      this.#transports.set(key, transport);
    }
    return createClient(Log, transport);
  }
}

function transportTo(addr: string, protocol: Protocol): Transport {
  const baseUrl = `http://${addr}`;
  const pings = { pingIntervalMs: 3_000, pingTimeoutMs: 3_000 };
  if (protocol === "grpc") return createGrpcTransport({ baseUrl, ...pings });
  if (protocol === "grpc-web") return createGrpcWebTransport({ baseUrl, httpVersion: "2", ...pings });
  if (protocol === "connect") return createConnectTransport({ baseUrl, httpVersion: "2", ...pings });
  return createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false });
}

/** The package's own client. A stopped node costs it little. */
export function clusterClient(self: Self): TailraceClient {
  return openClient({
    addrs: self.addresses.advertised(),
    limits: { attemptMs: 2_000, callMs: 20_000 },
    sessions: { connectMs: 2_000, pingIntervalMs: 3_000, pingTimeoutMs: 3_000 },
  });
}
