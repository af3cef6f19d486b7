/** Opens a client in Node.js: gRPC, gRPC-Web or Connect over HTTP/2, in plaintext or with TLS. */
import type { Interceptor, Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  type Http2SessionManager,
} from "@connectrpc/connect-node";
import { Fault } from "../fault.ts";
import { crc32 } from "../lib/checksum.ts";
import { isHostPort } from "../lib/host-port.ts";
import { systemSeed } from "../lib/prng.ts";
import { isLoopback } from "../lib/value-kind.ts";
import type { Connection } from "./calls/connections.ts";
import { Http2Sessions } from "./calls/http2-sessions.ts";
import { type CommonOptions, TailraceClient } from "./client.ts";
import { defaultSessionSettings, type SessionSettings } from "./http2-settings.ts";
import { messageBytesMax } from "./limits.ts";
import { tokenInterceptors } from "./token-interceptor.ts";

/** TLS settings, as PEM texts. An empty object means TLS with the CAs of Node.js and without a client certificate. */
export interface ClientTls {
  /** The CA that signed the certificate of the node. Default: the CAs of Node.js. */
  readonly ca?: string | undefined;
  /** The client certificate. Default: none. */
  readonly cert?: string | undefined;
  /** The private key of `cert`. */
  readonly key?: string | undefined;
}

export type ClientProtocol = "grpc" | "grpc-web" | "connect";

export interface ClientOptions extends CommonOptions {
  /** `host:port` of one node. Ignored if `addrs` is given. */
  readonly addr?: string;
  /** `host:port` of several nodes. One reachable node is enough to find the others. */
  readonly addrs?: readonly string[];
  /** Default: plaintext. */
  readonly tls?: ClientTls | undefined;
  /** Default "grpc". */
  readonly protocol?: ClientProtocol;
  /** Interceptors of connect-es, for every call. Default: none. */
  readonly interceptors?: readonly Interceptor[];
  /** Timeouts of the HTTP/2 connections. */
  readonly sessions?: Partial<SessionSettings>;
}

const createTransport: Readonly<Record<ClientProtocol, (options: TransportOptions) => Transport>> = {
  grpc: createGrpcTransport,
  "grpc-web": (options) => createGrpcWebTransport({ ...options, httpVersion: "2" }),
  connect: (options) => createConnectTransport({ ...options, httpVersion: "2" }),
};

interface TransportOptions {
  readonly baseUrl: string;
  readonly sessionManager: Http2SessionManager;
  readonly readMaxBytes: number;
  readonly interceptors: Interceptor[];
}

/**
 * Opens a client. It connects on the first call.
 * @throws Fault "config" if there is no address, or one is not HOST:PORT
 */
export function openClient(options: ClientOptions): TailraceClient {
  const { addr, addrs = addr === undefined ? [] : [addr] } = options;
  const invalid = addrs.find((one) => !isHostPort(one));
  if (invalid !== undefined) {
    throw new Fault("config", {
      message: `an address must be HOST:PORT, such as 127.0.0.1:8080, not "${invalid}"`,
    });
  }
  const tokens = tokenInterceptors(options.token);
  const platform = {
    seeds: addrs,
    dial: (to: string) => dial(to, options, tokens),
    crc32,
    seed: systemSeed(),
  };
  return new TailraceClient(platform, options);
}

/** `[::1]:80` → `::1` */
const hostOf = (addr: string): string => addr.slice(0, addr.lastIndexOf(":")).replace(/^\[|\]$/g, "");

function dial(addr: string, options: ClientOptions, tokens: readonly Interceptor[]): Connection {
  const { tls, protocol = "grpc", interceptors = [], sessions } = options;
  if (tokens.length > 0 && tls === undefined && !isLoopback(hostOf(addr)))
    throw new Fault("config", {
      message: `the token is not sent to ${addr} in plaintext, where others could read it: set the option tls (--tls-ca-file)`,
    });
  const { ca, cert, key } = tls ?? {};
  const baseUrl = `${tls === undefined ? "http" : "https"}://${addr}`;
  const sessionManager = new Http2Sessions(
    baseUrl,
    { ...defaultSessionSettings, ...sessions },
    {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    },
  );
  return {
    transport: createTransport[protocol]({
      baseUrl,
      sessionManager,
      readMaxBytes: messageBytesMax,
      interceptors: [...tokens, ...interceptors],
    }),
    close: () => sessionManager.abort(),
    isConnecting: () => sessionManager.state() === "connecting",
  };
}
