/**
 * Spans over the OpenTelemetry API, parented by explicit W3C contexts: no async context is kept, so nothing is paid
 * where nothing is traced. Made only when the SDK runs; see sdk.
 *
 * Never: loads the SDK, decides what is sampled (the SDK's sampler does, OTEL_TRACES_SAMPLER).
 */
import * as otel from "@opentelemetry/api";
import { Fault } from "../fault.ts";
import type { Attributes, AttributeValue, Span, SpanOptions, Tracer } from "../lib/telemetry.ts";
import { checkedTracestate, formatTraceparent, parseTraceparent } from "./trace-context.ts";

type SpanKind = NonNullable<SpanOptions["kind"]>;

/** A span that is over, as the debug files show it. */
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

  /** Takes the global tracer provider. `onEnd` sees every recorded span. */
  constructor(version: string, onEnd?: (span: SpanRecord) => void) {
    this.#tracer = otel.trace.getTracer("tailrace", version);
    this.#onEnd = onEnd;
  }

  /** `tracestate` is the header that came with the parent. */
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

interface Told {
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
  readonly #told: Told;
  readonly #attributes: Record<string, AttributeValue>;
  readonly #startedMs = performance.timeOrigin + performance.now();
  #ended = false;

  constructor(span: otel.Span, told: Told, onEnd: ((span: SpanRecord) => void) | undefined) {
    this.#span = span;
    this.#told = told;
    this.#onEnd = span.isRecording() ? onEnd : undefined;
    this.#attributes = this.#onEnd === undefined ? {} : { ...told.attributes };
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
    const { name, kind, parent } = this.#told;
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
