/**
 * A collector for OTLP over HTTP with JSON that keeps the spans and metrics it gets. Set OTEL_EXPORTER_OTLP_ENDPOINT to
 * `url` and OTEL_EXPORTER_OTLP_PROTOCOL to http/json.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { bodyOf } from "../http/body-of.ts";

export interface CollectedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentSpanId: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** 0 unset, 1 ok, 2 error. */
  readonly status: number;
  readonly service: unknown;
}

export interface CollectedMetric {
  readonly name: string;
  readonly unit: string;
  readonly points: readonly CollectedPoint[];
}

export interface CollectedPoint {
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Of a sum or gauge. */
  readonly value?: number;
  /** Of a histogram. */
  readonly count?: number;
  readonly sum?: number;
}

export interface Collector extends AsyncDisposable {
  readonly url: string;
  readonly spans: CollectedSpan[];
  /** Path and content type of each request, also of those that are not JSON. */
  readonly requests: string[];
  /** As in the newest export. */
  readonly metrics: Map<string, CollectedMetric>;
}

export async function openCollector(): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  const requests: string[] = [];
  const metrics = new Map<string, CollectedMetric>();
  const server = createServer(async (request, response) => {
    const type = request.headers["content-type"] ?? "";
    requests.push(`${request.url} ${type}`);
    const bytes = await bodyOf(request);
    if (bytes === undefined) return;
    const text = bytes.toString("utf8");
    const body = (type === "application/json" ? JSON.parse(text) : {}) as Json;
    if (request.url === "/v1/traces") spans.push(...spansIn(body));
    else if (request.url === "/v1/metrics")
      for (const metric of metricsIn(body)) metrics.set(metric.name, metric);
    else response.statusCode = 404;
    response.setHeader("content-type", type).end(type === "application/json" ? "{}" : "");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    requests,
    metrics,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}
interface JsonPoint {
  readonly attributes?: readonly KeyValue[];
  readonly asDouble?: number;
  readonly asInt?: number | string;
  readonly count?: number | string;
  readonly sum?: number;
}
interface Json {
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: readonly KeyValue[] };
    readonly scopeSpans?: readonly {
      readonly spans?: readonly {
        readonly name: string;
        readonly traceId: string;
        readonly spanId: string;
        readonly parentSpanId?: string;
        readonly kind?: number;
        readonly attributes?: readonly KeyValue[];
        readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
        readonly status?: { readonly code?: number };
      }[];
    }[];
  }[];
  readonly resourceMetrics?: readonly {
    readonly scopeMetrics?: readonly {
      readonly metrics?: readonly {
        readonly name: string;
        readonly unit?: string;
        readonly sum?: { readonly dataPoints: readonly JsonPoint[] };
        readonly gauge?: { readonly dataPoints: readonly JsonPoint[] };
        readonly histogram?: { readonly dataPoints: readonly JsonPoint[] };
      }[];
    }[];
  }[];
}

const attributesOf = (pairs: readonly KeyValue[] = []): Record<string, unknown> =>
  Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]));

const spansIn = (body: Json): CollectedSpan[] =>
  (body.resourceSpans ?? []).flatMap(({ resource, scopeSpans = [] }) =>
    scopeSpans.flatMap(({ spans = [] }) =>
      spans.map((span) => ({
        name: span.name,
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId ?? "",
        kind: span.kind ?? 0,
        attributes: attributesOf(span.attributes),
        links: span.links ?? [],
        status: span.status?.code ?? 0,
        service: attributesOf(resource?.attributes)["service.name"],
      })),
    ),
  );

const metricsIn = (body: Json): CollectedMetric[] =>
  (body.resourceMetrics ?? []).flatMap(({ scopeMetrics = [] }) =>
    scopeMetrics.flatMap(({ metrics = [] }) =>
      metrics.map((metric) => ({
        name: metric.name,
        unit: metric.unit ?? "",
        points: (metric.sum ?? metric.gauge ?? metric.histogram)?.dataPoints.map(pointOf) ?? [],
      })),
    ),
  );

const pointOf = ({ attributes, asDouble, asInt, count, sum }: JsonPoint): CollectedPoint => ({
  attributes: attributesOf(attributes),
  ...(count === undefined ? { value: asDouble ?? Number(asInt) } : { count: Number(count), sum: sum ?? 0 }),
});
