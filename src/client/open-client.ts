/**
 * A client in Node: HTTP/2 in plaintext or with certificates, speaking gRPC, gRPC-Web or Connect. A rim.
 *
 * Never: reads a file, retries.
 */
import type { Interceptor, Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  type Http2SessionManager,
} from "@connectrpc/connect-node";
import { Fault } from "../fault.ts";
import { systemSeed } from "../lib/chance.ts";
import { crc32 } from "../lib/checksum.ts";
import { isHostPort } from "../lib/host-port.ts";
import type { Connection } from "./calls/connections.ts";
import { defaultSessionSettings, Http2Sessions, type SessionSettings } from "./calls/http2-sessions.ts";
import { type CommonOptions, TailraceClient } from "./client.ts";
import { messageBytesMax } from "./limits.ts";

/** PEM texts; with any of them, or none but an empty object, the connection is TLS. */
export interface ClientTls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export type ClientProtocol = "grpc" | "grpc-web" | "connect";

export interface ClientOptions extends CommonOptions {
  /** `host:port` of one node … */
  readonly addr?: string;
  /** … or of several, any of which will do to find the others. */
  readonly addrs?: readonly string[];
  readonly tls?: ClientTls | undefined;
  /** Default gRPC. */
  readonly protocol?: ClientProtocol;
  readonly interceptors?: readonly Interceptor[];
  readonly sessions?: Partial<SessionSettings>;
}

const makers: Readonly<Record<ClientProtocol, (options: TransportOptions) => Transport>> = {
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

/** Opens it; the first call connects. Throws Fault "config" when there is no address, or what is none. */
export function openClient(options: ClientOptions): TailraceClient {
  const { addr, addrs = addr === undefined ? [] : [addr] } = options;
  const found = addrs.find((one) => !isHostPort(one));
  if (found !== undefined) {
    throw new Fault("config", { message: `expected HOST:PORT, such as 127.0.0.1:8080, found "${found}"` });
  }
  const platform = {
    seeds: addrs,
    dial: (to: string) => dial(to, options),
    crc32,
    seed: systemSeed(),
  };
  return new TailraceClient(platform, options);
}

function dial(addr: string, options: ClientOptions): Connection {
  const { tls, protocol = "grpc", interceptors = [], sessions } = options;
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
    transport: makers[protocol]({
      baseUrl,
      sessionManager,
      readMaxBytes: messageBytesMax,
      interceptors: [...interceptors],
    }),
    close: () => sessionManager.abort(),
    isConnecting: () => sessionManager.state() === "connecting",
  };
}
