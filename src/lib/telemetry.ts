/**
 * The telemetry port: logs, metrics and traces of all modules. The telemetry module implements it. `noTelemetry`
 * records nothing and costs a call of an empty function. No method throws or keeps the process alive.
 *
 * Instruments are created once, when a module opens, with their attributes. Recording neither allocates nor waits.
 * Attribute values come from small closed sets, not from a client: no subject, offset or key. Only the lag of cursors names
 * logs and cursors, a limited number of them at a time.
 */

export type AttributeValue = string | number | boolean;
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** Structured logging. Facts first, then one sentence; an error goes under the fact `err`. */
export interface Logger {
  error(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  info(facts: object, message: string): void;
  debug(facts: object, message: string): void;
  /** Returns a logger that adds these facts to every line. */
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

/** One of several values of a gauge. Its attributes distinguish it. */
export interface Observation {
  readonly value: number;
  readonly attributes: Attributes;
}

/** Returns the current value of a gauge or total. It must be quick and synchronous. */
export type Observe = () => number | readonly Observation[];

/** Creates instruments. The same name and attributes return the same instrument. */
export interface Metrics {
  counter(name: string, options: InstrumentOptions): Counter;
  histogram(name: string, options: HistogramOptions): Histogram;
  /** Calls `observe` at each collection, and only then. The returned function removes the gauge. */
  gauge(name: string, options: InstrumentOptions, observe: Observe): () => void;
  /** The same for a sum that only grows and that the caller keeps itself. */
  total(name: string, options: InstrumentOptions, observe: Observe): () => void;
}

/** A piece of work in a trace. */
export interface Span {
  /** The parent for work that this work starts: this span if it is recorded, else its own parent. */
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
  /** Traceparents of other requests that this work serves: one fsync serves many appends. */
  readonly links?: readonly string[];
}

export interface Tracer {
  /** False: spans are not recorded, so attributes need not be collected. */
  readonly on: boolean;
  span(name: string, options?: SpanOptions): Span;
}

/** The protocol of a call; the label `protocol` of its log line. */
export type Protocol = "grpc" | "grpc-web" | "connect" | "http" | "peer";

/** Facts of a call at its start. */
export interface CallStart {
  /** `log.v1.Log/Produce`, or `POST /` for plain HTTP: from a closed set; `_OTHER` for what is not served. */
  readonly method: string;
  readonly protocol: Protocol;
  readonly subject: string;
  /** Address and port of the client. */
  readonly peer: string;
  /** As the client sent them, unchecked. */
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
  readonly requestId?: string | undefined;
}

/** A call in progress. The code that began it ends it exactly once. */
export interface CallTelemetry {
  /** As sent by the client, else generated here. Safe to put into a header. */
  readonly requestId: string;
  /** The parent for work that the call causes: its own span if it is recorded, else the client's. */
  readonly traceparent: string | undefined;
  /** Adds a fact to the call's log line and span. Never a record's value or key. */
  tag(name: string, value: AttributeValue): void;
  /** `code` as Connect spells it: `ok`, `permission_denied`, …; `error` says why, for the log only. */
  end(code: string, bytesIn: number, bytesOut: number, error?: unknown): void;
}

/** All parts of telemetry. A module takes only those that it uses. */
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
