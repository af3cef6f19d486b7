/**
 * The telemetry port: how a room says what it does, without knowing who listens. The telemetry room implements it;
 * `noTelemetry` listens to nothing and costs a call of an empty function.
 *
 * The law of cost: instruments are made once, when a room opens, with their attributes; recording neither
 * allocates nor waits. Attributes come from small closed sets, never from a caller (no subject, offset or key).
 *
 * Never: imports a telemetry package, throws, keeps the process alive.
 */

export type AttributeValue = string | number | boolean;
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** Structured logging. Facts first, then one sentence; an error goes under the fact `err`. */
export interface Logger {
  error(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  info(facts: object, message: string): void;
  debug(facts: object, message: string): void;
  /** A logger whose every line carries these facts too. */
  child(facts: Attributes): Logger;
}

export interface Counter {
  /** Adds `amount`, at least 0. */
  add(amount: number): void;
}

export interface Histogram {
  record(value: number): void;
}

export interface InstrumentOptions {
  /** One sentence for people. */
  readonly description: string;
  /** UCUM: `s`, `By`, `{record}`, … */
  readonly unit: string;
  readonly attributes?: Attributes;
}

export interface HistogramOptions extends InstrumentOptions {
  /** Upper bounds of the buckets, ascending, in `unit`. The last bucket has none. */
  readonly boundaries: readonly number[];
}

/** One of several values a gauge shows at once, told apart by attributes. */
export interface Observation {
  readonly value: number;
  readonly attributes: Attributes;
}

/** Looks at what a gauge or total shows now. Quick, and without waiting. */
export type Observe = () => number | readonly Observation[];

/** Makes instruments. The same name and attributes answer the same instrument. */
export interface Metrics {
  counter(name: string, options: InstrumentOptions): Counter;
  histogram(name: string, options: HistogramOptions): Histogram;
  /** Calls `observe` whenever somebody looks, and only then; the answer ends it. */
  gauge(name: string, options: InstrumentOptions, observe: Observe): () => void;
  /** The same for a sum that only grows, which somebody keeps anyway. */
  total(name: string, options: InstrumentOptions, observe: Observe): () => void;
}

/** A piece of work in a trace. */
export interface Span {
  /** To hand on to whatever this work starts: this span where it is recorded, else its parent. */
  readonly traceparent: string | undefined;
  set(name: string, value: AttributeValue): void;
  /** Ends the span, once; with an error it is marked failed. */
  end(error?: unknown): void;
}

export interface SpanOptions {
  /** A W3C traceparent; without one the span begins a new trace. */
  readonly parent?: string | undefined;
  /** Default internal: work inside this node. */
  readonly kind?: "internal" | "server" | "client";
  readonly attributes?: Attributes;
  /** Traceparents of others this work also serves: one fsync has many callers. */
  readonly links?: readonly string[];
}

export interface Tracer {
  /** False: spans go nowhere, so do not trouble to gather attributes. */
  readonly on: boolean;
  span(name: string, options?: SpanOptions): Span;
}

/** How a call came in; the label `protocol` of its log line. */
export type Protocol = "grpc" | "grpc-web" | "connect" | "http" | "peer";

/** What is known of a call when it begins. */
export interface CallStart {
  /** `log.v1.Log/Produce`, or `POST /` for plain HTTP: from a closed set; `_OTHER` for what is not served. */
  readonly method: string;
  readonly protocol: Protocol;
  readonly subject: string;
  /** Address and port of the caller. */
  readonly peer: string;
  /** As the caller sent them, unchecked. */
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
  readonly requestId?: string | undefined;
}

/** A call under way. Whoever began it ends it, once, however it ends. */
export interface CallTelemetry {
  /** As sent by the caller, else made here. Safe to put into a header. */
  readonly requestId: string;
  /** To hand on with what the call causes: its own span where recorded, else the caller's. */
  readonly traceparent: string | undefined;
  /** Adds a fact to the call's log line and span. Never a record's value or key. */
  tag(name: string, value: AttributeValue): void;
  /** `code` as Connect spells it: `ok`, `permission_denied`, …; `error` says why, for the log only. */
  end(code: string, bytesIn: number, bytesOut: number, error?: unknown): void;
}

/** All of it. A room takes only the parts it uses. */
export interface Telemetry {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  begin(start: CallStart): CallTelemetry;
}

const nothing = (): void => {};

export const noLogger: Logger = {
  error: nothing,
  warn: nothing,
  info: nothing,
  debug: nothing,
  child: () => noLogger,
};

const noCounter: Counter = { add: nothing };
const noHistogram: Histogram = { record: nothing };

export const noMetrics: Metrics = {
  counter: () => noCounter,
  histogram: () => noHistogram,
  gauge: () => nothing,
  total: () => nothing,
};

const noSpan: Span = { traceparent: undefined, set: nothing, end: nothing };

export const noTracer: Tracer = {
  on: false,
  span: (_name, { parent } = {}) => (parent === undefined ? noSpan : { ...noSpan, traceparent: parent }),
};

const noCall: CallTelemetry = { requestId: "-", traceparent: undefined, tag: nothing, end: nothing };

export const noTelemetry: Telemetry = {
  log: noLogger,
  metrics: noMetrics,
  tracer: noTracer,
  begin: (start) =>
    start.traceparent === undefined ? noCall : { ...noCall, traceparent: start.traceparent },
};

/** Boundaries in seconds for anything from a memory write to a slow disk: 50 µs … 10 s. */
export const secondsBoundaries: readonly number[] = [
  0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
  10,
];
