/**
 * The client library for browsers: Connect or gRPC-Web over fetch, in binary.
 *
 * A page may only call origins that allow it, so by default the client does not discover other nodes: the node that
 * served the page forwards. fetch cannot detect a silent connection; the idle limit of a tail does (limits.ts).
 */
import type { Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { crc32ByTable } from "../lib/crc-table.ts";
import { systemSeed } from "../lib/prng.ts";
import type { Connection } from "./calls/connections.ts";
import { type CommonOptions, TailraceClient } from "./client.ts";
import { tokenInterceptors } from "./token-interceptor.ts";

export interface BrowserClientOptions extends CommonOptions {
  /** The nodes, as `https://host:port`. At least one. */
  readonly origins: readonly string[];
  /** Default "connect". */
  readonly protocol?: "connect" | "grpc-web";
  /** Interceptors of connect-es, for every call. Default: none. */
  readonly interceptors?: readonly Interceptor[];
  /** Replaces the global fetch, for example to send credentials to another origin. */
  readonly fetch?: typeof globalThis.fetch;
}

/**
 * Opens a client. It connects on the first call.
 * @throws Fault "config" if there is no origin
 */
export function openClient(options: BrowserClientOptions): TailraceClient {
  const platform = {
    seeds: options.origins,
    dial: (to: string) => dial(to, options),
    crc32: crc32ByTable,
    seed: systemSeed(),
  };
  return new TailraceClient(platform, { discover: false, ...options });
}

/** Nodes list each other as `host:port`. Their scheme is that of the first origin. */
function dial(addr: string, options: BrowserClientOptions): Connection {
  const { protocol = "connect", interceptors = [], origins, fetch, token } = options;
  const scheme = origins[0]!.startsWith("https:") ? "https" : "http";
  const transportOptions = {
    baseUrl: addr.includes("://") ? addr : `${scheme}://${addr}`,
    useBinaryFormat: true,
    interceptors: [...tokenInterceptors(token), ...interceptors],
    ...(fetch === undefined ? {} : { fetch }),
  };
  const make = protocol === "connect" ? createConnectTransport : createGrpcWebTransport;
  return { transport: make(transportOptions), close: () => {} };
}

export * from "./public-api.ts";
