/**
 * A client in a browser: fetch, speaking Connect or gRPC-Web in binary.
 *
 * A page may call its own origin and those that allow it, so by default nobody is asked for other nodes: the one
 * that served the page forwards. A fetch cannot see that its peer has gone silent, so a tail that hears nothing for
 * a while asks again at the next offset.
 *
 * Never: imports anything of Node.
 */
import type { Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { systemSeed } from "../lib/chance.ts";
import { crc32ByTable } from "../lib/crc-table.ts";
import type { Connection } from "./calls/connections.ts";
import { type CommonOptions, TailraceClient } from "./client.ts";

export interface BrowserClientOptions extends CommonOptions {
  /** Where the nodes are, as `https://host:port`. */
  readonly origins: readonly string[];
  /** Default Connect. */
  readonly protocol?: "connect" | "grpc-web";
  readonly interceptors?: readonly Interceptor[];
  /** For credentials across origins, or for tests. */
  readonly fetch?: typeof globalThis.fetch;
}

/** Opens it; the first call connects. Throws Fault "config" when there is no origin. */
export function openClient(options: BrowserClientOptions): TailraceClient {
  const platform = {
    seeds: options.origins,
    dial: (to: string) => dial(to, options),
    crc32: crc32ByTable,
    seed: systemSeed(),
  };
  const limits = { tailIdleMs: 60_000, ...options.limits };
  return new TailraceClient(platform, { discover: false, ...options, limits });
}

/** Nodes tell `host:port`; their scheme is that of the origin that named them. */
function dial(addr: string, options: BrowserClientOptions): Connection {
  const { protocol = "connect", interceptors = [], origins, fetch } = options;
  const scheme = origins[0]!.startsWith("https:") ? "https" : "http";
  const transportOptions = {
    baseUrl: addr.includes("://") ? addr : `${scheme}://${addr}`,
    useBinaryFormat: true,
    interceptors: [...interceptors],
    ...(fetch === undefined ? {} : { fetch }),
  };
  const make = protocol === "connect" ? createConnectTransport : createGrpcWebTransport;
  return { transport: make(transportOptions), close: () => {} };
}

export * from "./public-api.ts";
