/**
 * Routes RPCs to Connect's handlers: gRPC, gRPC-Web and Connect for every method, over either version of HTTP.
 */
import type { DescService } from "@bufbuild/protobuf";
import { type ConnectRouter, createConnectRouter, type ServiceImpl } from "@connectrpc/connect";
import type { Compression } from "@connectrpc/connect/protocol";
import type { ClientConnection } from "../calls/call-tracker.ts";
import { type Exchange, pathOf } from "../http/exchange/exchange.ts";
import { refuseRpc } from "../http/route-refusal.ts";
import { recordUnroutedRequest } from "../http/unrouted-requests.ts";
import { type AnyMethod, guarded, guardedStream, unimplemented } from "./guarded-method.ts";
import { jsonOptions } from "./json-options.ts";
import { beginCall, compressions, type RpcOptions, serveRpc } from "./serve-rpc.ts";

/** A service and its implementation. */
export interface RpcService {
  readonly service: DescService;
  readonly implementation: Readonly<Record<string, unknown>>;
  readonly options: RpcServiceOptions;
}

interface RpcServiceOptions {
  /** Responses from this size on are compressed if the client accepts that, in bytes. Default 1024. */
  readonly compressMinBytes?: number;
}

export const rpcService = <T extends DescService>(
  service: T,
  implementation: Partial<ServiceImpl<T>>,
  options: RpcServiceOptions = {},
): RpcService => ({
  service,
  implementation,
  options,
});

/** Largest message in a URL after decompression, in bytes: the limit of a URL itself. */
const queryBytesMax = 16 * 1024;
/**
 * Connect decompresses only the message of a GET: limitRequestWork() decompresses all bodies. A few bytes in a URL must
 * not become a message that takes long to parse.
 */
const queryCompressions = compressions.map(
  (compression): Compression => ({
    ...compression,
    decompress: (bytes, bytesMax) => compression.decompress(bytes, Math.min(bytesMax, queryBytesMax)),
  }),
);

/** Serves a request whose path names one of the services; returns undefined for any other path. */
export type RpcHandler = (exchange: Exchange, client: ClientConnection) => Promise<void> | undefined;

export function rpcHandler(services: readonly RpcService[], options: RpcOptions): RpcHandler {
  const router = createConnectRouter({
    acceptCompression: queryCompressions,
    readMaxBytes: options.readMaxBytes,
    writeMaxBytes: options.writeMaxBytes,
    jsonOptions,
    requestGate: (context) => beginCall(context, options),
  });
  for (const one of services) register(router, one);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  const prefixes = new Set(services.map(({ service }) => `/${service.typeName}`));
  return (exchange, client) => {
    const path = pathOf(exchange);
    const handler = handlers.get(path);
    if (handler !== undefined) return serveRpc(handler, exchange, client, options);
    if (!prefixes.has(path.slice(0, path.lastIndexOf("/")))) return undefined;
    recordUnroutedRequest(options.telemetry.begin, exchange, client, "unimplemented");
    refuseRpc(exchange, 404);
    return Promise.resolve();
  };
}

/** Registers every method of a service. A method without an implementation fails with Fault "unimplemented". */
function register(router: ConnectRouter, { service, implementation, options }: RpcService): void {
  const wrapped: Record<string, unknown> = {};
  for (const method of service.methods) {
    const found = implementation[method.localName] as AnyMethod | undefined;
    const streams = method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
    const work = found === undefined ? unimplemented(method.name) : found.bind(implementation);
    wrapped[method.localName] = streams ? guardedStream(work) : guarded(work);
  }
  router.service(service, wrapped as Partial<ServiceImpl<DescService>>, options);
}
