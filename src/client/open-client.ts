/**
 * A connection to a node, and typed calls on it: gRPC over HTTP/2, in plaintext or with certificates.
 *
 * Never: retries, picks a node, reads a file.
 */
import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { Cluster, Log } from "../gen/log/v1/log_pb.js";

/** PEM texts; with any of them the connection is TLS. */
export interface ClientTls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface ClientOptions {
  /** `host:port`. */
  readonly addr: string;
  readonly tls?: ClientTls | undefined;
  readonly interceptors?: readonly Interceptor[];
}

export interface NodeClient extends Disposable {
  readonly log: Client<typeof Log>;
  readonly cluster: Client<typeof Cluster>;
  readonly transport: Transport;
}

const messageBytesMax = 4 * 1024 * 1024;

/** Opens it; the first call connects. Disposing ends the connection with whatever is under way. */
export function openClient(options: ClientOptions): NodeClient {
  const baseUrl = `${options.tls === undefined ? "http" : "https"}://${options.addr}`;
  const { ca, cert, key } = options.tls ?? {};
  const sessions = new Http2SessionManager(
    baseUrl,
    { pingIntervalMs: 30_000, pingTimeoutMs: 10_000 },
    {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      settings: { initialWindowSize: 4 * 1024 * 1024, enablePush: false },
    },
  );
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager: sessions,
    readMaxBytes: messageBytesMax,
    interceptors: [...(options.interceptors ?? [])],
  });
  return {
    log: createClient(Log, transport),
    cluster: createClient(Cluster, transport),
    transport,
    [Symbol.dispose]: () => sessions.abort(),
  };
}
