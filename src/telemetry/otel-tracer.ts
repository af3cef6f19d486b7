/**
 * Spans on the OpenTelemetry API. Parents are explicit W3C contexts, not an async context, so untraced calls cost
 * nothing. It is used only if the SDK runs (sdk.ts). The SDK's sampler decides what is sampled (OTEL_TRACES_SAMPLER).
 */
import * as otel from "@opentelemetry/api";
import { Fault } from "../fault.ts";
import type { Attributes, AttributeValue, Span, SpanOptions, Tracer } from "../lib/telemetry.ts";
import { checkedTracestate, formatTraceparent, parseTraceparent } from "./trace-context.ts";

type SpanKind = NonNullable<SpanOptions["kind"]>;

/** An ended span, as in the debug files. */
export interface SpanRecord {
  readonly name: string;
  readonly kind: SpanKind;
  readonly trace_id: string;
  readonly span_id: string;
  readonly parent_span_id?: string;
  readonly start_ms: number;
  readonly duration_ms: number;
  readonly attributes: Attributes;
  readonly error?: string;
}

const kinds = {
  internal: otel.SpanKind.INTERNAL,
  server: otel.SpanKind.SERVER,
  client: otel.SpanKind.CLIENT,
} as const satisfies Record<SpanKind, otel.SpanKind>;

export class OtelTracer implements Tracer {
  readonly on = true;
  readonly #tracer: otel.Tracer;
  readonly #onEnd: ((span: SpanRecord) => void) | undefined;

  /** Uses the global tracer provider. `onEnd` gets every recorded span. */
  constructor(version: string, onEnd?: (span: SpanRecord) => void) {
    this.#tracer = otel.trace.getTracer("tailrace", version);
    this.#onEnd = onEnd;
  }

  /** Starts a span. `tracestate` is the header that came with the parent. */
  span(name: string, options: SpanOptions = {}, tracestate?: string): OtelSpan {
    const { kind = "internal", parent, attributes = {}, links = [] } = options;
    const remote = spanContext(parent, tracestate);
    const context =
      remote === undefined ? otel.ROOT_CONTEXT : otel.trace.setSpanContext(otel.ROOT_CONTEXT, remote);
    const linked = links.map((link) => spanContext(link)).filter((link) => link !== undefined);
    const span = this.#tracer.startSpan(
      name,
      { kind: kinds[kind], attributes: { ...attributes }, links: linked.map((one) => ({ context: one })) },
      context,
    );
    return new OtelSpan(span, { name, kind, parent: remote?.spanId, attributes }, this.#onEnd);
  }
}

interface SpanInfo {
  readonly name: string;
  readonly kind: SpanKind;
  readonly parent: string | undefined;
  readonly attributes: Attributes;
}

export class OtelSpan implements Span {
  readonly traceparent: string;
  readonly traceId: string;
  readonly #span: otel.Span;
  readonly #onEnd: ((span: SpanRecord) => void) | undefined;
  readonly #info: SpanInfo;
  readonly #attributes: Record<string, AttributeValue>;
  readonly #startedMs = performance.timeOrigin + performance.now();
  #ended = false;

  constructor(span: otel.Span, info: SpanInfo, onEnd: ((span: SpanRecord) => void) | undefined) {
    this.#span = span;
    this.#info = info;
    this.#onEnd = span.isRecording() ? onEnd : undefined;
    this.#attributes = this.#onEnd === undefined ? {} : { ...info.attributes };
    const context = span.spanContext();
    this.traceparent = formatTraceparent(context);
    this.traceId = context.traceId;
  }

  set(name: string, value: AttributeValue): void {
    this.#span.setAttribute(name, value);
    if (this.#onEnd !== undefined) this.#attributes[name] = value;
  }

  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    const message = error === undefined ? undefined : error instanceof Error ? error.message : String(error);
    if (message !== undefined) {
      this.#span.setStatus({ code: otel.SpanStatusCode.ERROR, message });
      if (error instanceof Error && !(error instanceof Fault)) this.#span.recordException(error);
    }
    this.#span.end();
    if (this.#onEnd === undefined) return;
    const { traceId, spanId } = this.#span.spanContext();
    const { name, kind, parent } = this.#info;
    this.#onEnd({
      name,
      kind,
      trace_id: traceId,
      span_id: spanId,
      ...(parent === undefined ? {} : { parent_span_id: parent }),
      start_ms: this.#startedMs,
      duration_ms: performance.timeOrigin + performance.now() - this.#startedMs,
      attributes: this.#attributes,
      ...(message === undefined ? {} : { error: message }),
    });
  }
}

function spanContext(traceparent: string | undefined, tracestate?: string): otel.SpanContext | undefined {
  const parsed = parseTraceparent(traceparent);
  if (parsed === undefined) return undefined;
  const state = checkedTracestate(tracestate);
  return {
    ...parsed,
    isRemote: true,
    ...(state === undefined ? {} : { traceState: otel.createTraceState(state) }),
  };
}
