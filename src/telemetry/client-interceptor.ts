/**
 * `tailrace/telemetry`: OpenTelemetry for programs that call a log. This Connect interceptor uses the program's own SDK.
 * Each call gets a CLIENT span below the active span, sends its context as `traceparent`, and records
 * `rpc.client.call.duration`, by the stable RPC conventions. Without an SDK it does nothing. Nodes do not load it.
 *
 *   openClient({ addrs: ["localhost:8080"], interceptors: [clientInterceptor()] })
 */
import { Code, ConnectError, type Interceptor, type StreamResponse } from "@connectrpc/connect";
import * as otel from "@opentelemetry/api";
import { secondsBoundaries } from "../lib/telemetry.ts";
import { formatTraceparent, parseTraceparent } from "./trace-context.ts";

export interface ClientInterceptorOptions {
  /** The protocol of the transport. Default grpc, as that of openClient. */
  readonly protocol?: "grpc" | "grpc-web" | "connect";
}

/** Returns the interceptor. Call it once, after the SDK was started: earlier metrics are lost. */
export function clientInterceptor({ protocol = "grpc" }: ClientInterceptorOptions = {}): Interceptor {
  const system = protocol === "connect" ? "connectrpc" : "grpc";
  const tracer = otel.trace.getTracer("tailrace");
  const duration = otel.metrics.getMeter("tailrace").createHistogram("rpc.client.call.duration", {
    description: "Duration of calls made",
    unit: "s",
    advice: { explicitBucketBoundaries: [...secondsBoundaries] },
  });
  return (next) => async (request) => {
    const method = `${request.service.typeName}/${request.method.name}`;
    const { hostname, port } = new URL(request.url);
    const attributes: otel.Attributes = {
      "rpc.system.name": system,
      "rpc.method": method,
      "server.address": hostname,
      ...(port === "" ? {} : { "server.port": Number(port) }),
    };
    const span = tracer.startSpan(
      method,
      { kind: otel.SpanKind.CLIENT, attributes },
      parentOf(request.header),
    );
    sendAlong(span.spanContext(), request.header);
    const startedMs = performance.now();
    const end = (error?: unknown): void => {
      const code = error === undefined ? "ok" : spelled(ConnectError.from(error).code);
      const status = system === "grpc" ? code.toUpperCase() : code;
      const outcome = { "rpc.status_code": status, ...(error === undefined ? {} : { "error.type": status }) };
      span.setAttributes(outcome);
      if (error !== undefined) {
        const message = ConnectError.from(error).rawMessage;
        span.setStatus({ code: otel.SpanStatusCode.ERROR, message });
      }
      span.end();
      duration.record((performance.now() - startedMs) / 1_000, { ...attributes, ...outcome });
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

/** Returns the context in the call's own header, or else the active one. */
function parentOf(header: Headers): otel.Context {
  const given = parseTraceparent(header.get("traceparent") ?? undefined);
  if (given === undefined) return otel.context.active();
  return otel.trace.setSpanContext(otel.ROOT_CONTEXT, { ...given, isRemote: true });
}

function sendAlong(context: otel.SpanContext, header: Headers): void {
  if (!otel.isSpanContextValid(context)) return;
  header.set("traceparent", formatTraceparent(context));
  const state = context.traceState?.serialize();
  if (state !== undefined && state !== "") header.set("tracestate", state);
}

/** Ends the call when the messages end, or when the caller stops reading them. */
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
