/**
 * `tailrace/telemetry`: OpenTelemetry for programs that call a log. A Connect interceptor over the program's own SDK:
 * a CLIENT span for each call below the span that is active there, its context sent along as `traceparent`, and
 * `rpc.client.call.duration`, by the stable RPC conventions. Without an SDK it does nothing.
 *
 *   openClient({ addrs: ["localhost:8080"], interceptors: [clientInterceptor()] })
 *
 * Never: changes a message, retries, loads an SDK; nor is it loaded by a node.
 */
import { Code, ConnectError, type Interceptor, type StreamResponse } from "@connectrpc/connect";
import * as otel from "@opentelemetry/api";
import { secondsBoundaries } from "../lib/telemetry.ts";
import { formatTraceparent, parseTraceparent } from "./trace-context.ts";

export interface ClientInterceptorOptions {
  /** What the transport speaks. Default grpc, as openClient does. */
  readonly protocol?: "grpc" | "grpc-web" | "connect";
}

/** Make it once, after the SDK was started: metrics cannot be counted before. */
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

/** The context that the caller gave the call itself, else the one that is active. */
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
