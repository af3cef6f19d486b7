/**
 * A Connect interceptor for a client's side: a CLIENT span for each call, its context sent along as `traceparent`,
 * and `rpc.client.call.duration`. Works with any transport; where nothing is traced it only counts.
 *
 * Never: changes a message, retries.
 */
import { Code, ConnectError, type Interceptor, type StreamResponse } from "@connectrpc/connect";
import type { Clock } from "../lib/clock.ts";
import { type Attributes, type Metrics, secondsBoundaries, type Tracer } from "../lib/telemetry.ts";

export interface ClientTelemetry {
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  readonly clock: Clock;
  /** What the transport speaks. Default grpc. */
  readonly protocol?: "grpc" | "grpc-web" | "connect";
}

export function clientInterceptor({
  metrics,
  tracer,
  clock,
  protocol = "grpc",
}: ClientTelemetry): Interceptor {
  const system = protocol === "connect" ? "connectrpc" : "grpc";
  return (next) => async (request) => {
    const method = `${request.service.typeName}/${request.method.name}`;
    const { hostname, port } = new URL(request.url);
    const attributes: Attributes = {
      "rpc.system.name": system,
      "rpc.method": method,
      "server.address": hostname,
      ...(port === "" ? {} : { "server.port": Number(port) }),
    };
    const parent = request.header.get("traceparent") ?? undefined;
    const span = tracer.span(method, { kind: "client", parent, attributes });
    if (span.traceparent !== undefined) request.header.set("traceparent", span.traceparent);
    const startedMs = clock.monotonicMs();
    const end = (error?: unknown): void => {
      const code = error === undefined ? "ok" : spelled(ConnectError.from(error).code);
      const status = system === "grpc" ? code.toUpperCase() : code;
      const outcome = { "rpc.status_code": status, ...(error === undefined ? {} : { "error.type": status }) };
      for (const [name, value] of Object.entries(outcome)) span.set(name, value);
      span.end(error);
      metrics
        .histogram("rpc.client.call.duration", {
          description: "Duration of calls made",
          unit: "s",
          boundaries: secondsBoundaries,
          attributes: { ...attributes, ...outcome },
        })
        .record((clock.monotonicMs() - startedMs) / 1_000);
    };
    try {
      const response = await next(request);
      if (response.stream) return { ...response, message: untilEnd(response, end) };
      end();
      return response;
    } catch (error) {
      end(error);
      throw error;
    }
  };
}

/** A stream's call is over when its messages are, or when nobody wants more. */
async function* untilEnd(
  response: StreamResponse,
  end: (error?: unknown) => void,
): StreamResponse["message"] {
  let failed: unknown;
  try {
    yield* response.message;
  } catch (error) {
    failed = error;
    throw error;
  } finally {
    end(failed);
  }
}

/** `PermissionDenied` as `permission_denied`. */
const spelled = (code: Code): string =>
  (Code[code] ?? "Unknown").replace(/(?<!^)([A-Z])/g, "_$1").toLowerCase();
