/**
 * What is told of every call: its duration and bytes (metrics), its span where traced, and a log line.
 *
 * Both ends are plain function calls: one small object a call, histograms found by two map look-ups. Of the calls
 * that went well, and of those that failed by the caller's own doing (a reader who polls past the end) or were sent on
 * to the leader, so many a second and method are logged, and the next line says how many were not (`unlogged`). A client
 * that goes away is a debug line. Every denial, every overload and every failure of the node's own is logged.
 *
 * Never: throws, knows a protocol's bytes, logs a record.
 */
import { Fault } from "../fault.ts";
import {
  type Attributes,
  type AttributeValue,
  type CallStart,
  type CallTelemetry,
  type Counter,
  type Histogram,
  type Metrics,
  type Protocol,
  type SpanOptions,
  secondsBoundaries,
} from "../lib/telemetry.ts";
import type { Clock } from "../lib/time/clock.ts";
import { RateGate } from "../lib/time/rate-gate.ts";
import type { NodeLogger } from "./logger.ts";
import { formatTraceparent, parseTraceparent } from "./trace-context.ts";
import type { OtelSpan, OtelTracer } from "./tracing.ts";

export interface CallsOptions {
  readonly log: NodeLogger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Begins every id that is made here; unlike that of any other process. */
  readonly idPrefix: string;
  readonly tracer?: OtelTracer | undefined;
  /** Lines a second and method for calls that went well, and as many for those that the caller did wrong. Default 10. */
  readonly linesPerSecond?: number;
}

/** Codes by which the node, not the caller, failed: what the conventions call an error on the server's side. */
const serverFailed: ReadonlySet<string> = new Set([
  "unknown",
  "deadline_exceeded",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
]);
const loud: ReadonlySet<string> = new Set(["unknown", "internal", "data_loss"]);
const noticed: ReadonlySet<string> = new Set([
  "permission_denied",
  "unauthenticated",
  "unavailable",
  "deadline_exceeded",
  "resource_exhausted",
]);

/** A client that goes away is ordinary, and so is a follower that names the leader. */
function levelOf(code: string, error: unknown): "error" | "warn" | "info" | "debug" {
  if (code === "canceled") return "debug";
  if (error instanceof Fault && error.kind === "not-leader") return "info";
  return loud.has(code) ? "error" : noticed.has(code) ? "warn" : "info";
}

const metersMax = 256;
const tagsMax = 32;
const tagCharsMax = 256;

export class Calls {
  readonly options: CallsOptions;
  readonly linesPerSecond: number;
  /** Asked once: nearly every call on a busy node comes to this question. */
  readonly debugging: boolean;
  readonly #meters = new Map<string, Partial<Record<Protocol, CallMeter>>>();
  #metersMade = 0;
  #ids = 0;

  constructor(options: CallsOptions) {
    this.options = options;
    this.linesPerSecond = options.linesPerSecond ?? 10;
    this.debugging = options.log.enabled("debug");
    options.metrics.gauge(
      "tailrace.calls.active",
      { description: "Calls and streams under way", unit: "{call}" },
      () => this.#active(),
    );
  }

  begin(start: CallStart): CallTelemetry {
    const meter = this.#meters.get(start.method)?.[start.protocol] ?? this.#makeMeter(start);
    meter.active++;
    return new CallUnderWay(this, meter, start, this.#span(start));
  }

  #span(start: CallStart): OtelSpan | undefined {
    return this.options.tracer?.span(start.method, serverSpan(start), start.tracestate);
  }

  nextId(): string {
    return `${this.options.idPrefix}-${(++this.#ids).toString(36)}`;
  }

  /** Methods come from a closed set; should a caller's words ever come through, they share one meter. */
  #makeMeter({ method, protocol }: CallStart): CallMeter {
    const known = this.#metersMade < metersMax ? method : "_OTHER";
    const byProtocol = this.#meters.get(known) ?? {};
    this.#meters.set(known, byProtocol);
    const existing = byProtocol[protocol];
    if (existing !== undefined) return existing;
    const meter = new CallMeter(this.options.metrics, known, protocol, this.linesPerSecond);
    byProtocol[protocol] = meter;
    this.#metersMade++;
    return meter;
  }

  #active(): { value: number; attributes: Attributes }[] {
    return [...this.#meters.values()].flatMap((byProtocol) =>
      Object.values(byProtocol).map(({ active, ownAttributes }) => ({
        value: active,
        attributes: ownAttributes,
      })),
    );
  }
}

/** The instruments of one method by one protocol. */
class CallMeter {
  readonly attributes: Attributes;
  /** For metrics that are not the conventions': these tell gRPC from gRPC-Web. */
  readonly ownAttributes: Attributes;
  readonly wellGate: RateGate;
  readonly wrongGate: RateGate;
  active = 0;
  readonly #metrics: Metrics;
  readonly #protocol: Protocol;
  readonly #durations = new Map<string, Histogram>();
  #ok: Histogram | undefined;
  readonly #received: Counter;
  readonly #sent: Counter;

  constructor(metrics: Metrics, method: string, protocol: Protocol, linesPerSecond: number) {
    this.#metrics = metrics;
    this.#protocol = protocol;
    this.attributes = methodAttributes(method, protocol);
    this.wellGate = new RateGate(linesPerSecond);
    this.wrongGate = new RateGate(linesPerSecond);
    this.ownAttributes = { ...this.attributes, "tailrace.protocol": protocol };
    const attributes = this.ownAttributes;
    const bytes = (description: string): { description: string; unit: string; attributes: Attributes } => ({
      description,
      unit: "By",
      attributes,
    });
    this.#received = metrics.counter("tailrace.calls.received", bytes("Bytes of messages received in calls"));
    this.#sent = metrics.counter("tailrace.calls.sent", bytes("Bytes of messages sent in calls"));
  }

  end(code: string, seconds: number, bytesIn: number, bytesOut: number): void {
    this.active--;
    const duration = code === "ok" ? this.#ok : this.#durations.get(code);
    (duration ?? this.#duration(code)).record(seconds);
    this.#received.add(bytesIn);
    this.#sent.add(bytesOut);
  }

  #duration(code: string): Histogram {
    const isHttp = this.#protocol === "http";
    const histogram = this.#metrics.histogram(
      isHttp ? "http.server.request.duration" : "rpc.server.call.duration",
      {
        description: isHttp ? "Duration of HTTP requests" : "Duration of calls",
        unit: "s",
        boundaries: secondsBoundaries,
        attributes: { ...this.attributes, ...outcome(this.#protocol, code) },
      },
    );
    if (code === "ok") this.#ok = histogram;
    this.#durations.set(code, histogram);
    return histogram;
  }
}

class CallUnderWay implements CallTelemetry {
  readonly #calls: Calls;
  readonly #meter: CallMeter;
  readonly #start: CallStart;
  readonly #span: OtelSpan | undefined;
  readonly #startedMs: number;
  #requestId: string | undefined;
  #tags: Record<string, AttributeValue> | undefined;
  #ended = false;

  constructor(calls: Calls, meter: CallMeter, start: CallStart, span: OtelSpan | undefined) {
    this.#calls = calls;
    this.#meter = meter;
    this.#start = start;
    this.#span = span;
    this.#startedMs = calls.options.clock.monotonicMs();
  }

  get requestId(): string {
    this.#requestId ??= checkedId(this.#start.requestId) ?? this.#calls.nextId();
    return this.#requestId;
  }

  get traceparent(): string | undefined {
    if (this.#span !== undefined) return this.#span.traceparent;
    const parsed = parseTraceparent(this.#start.traceparent);
    return parsed === undefined ? undefined : formatTraceparent(parsed);
  }

  tag(name: string, value: AttributeValue): void {
    const bounded = typeof value === "string" ? value.slice(0, tagCharsMax) : value;
    this.#tags ??= {};
    if (name in this.#tags || Object.keys(this.#tags).length < tagsMax) this.#tags[name] = bounded;
    this.#span?.set(`tailrace.${name}`, bounded);
  }

  end(code: string, bytesIn: number, bytesOut: number, error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    const nowMs = this.#calls.options.clock.monotonicMs();
    const durationMs = nowMs - this.#startedMs;
    this.#meter.end(code, durationMs / 1_000, bytesIn, bytesOut);
    this.#endSpan(code, error);
    const { log } = this.#calls.options;
    const level = levelOf(code, error);
    const gate =
      level === "error" || level === "warn"
        ? undefined
        : code === "ok"
          ? this.#meter.wellGate
          : this.#meter.wrongGate;
    const pass = level !== "debug" && (gate?.pass(nowMs) ?? true);
    const written = pass ? level : "debug";
    if (written === "debug" ? !this.#calls.debugging : !log.enabled(written)) return;
    const unlogged = pass ? (gate?.takeDropped() ?? 0) : 0;
    log[written](this.#facts(code, durationMs, bytesIn, bytesOut, error, unlogged), "call");
  }

  #endSpan(code: string, error: unknown): void {
    const span = this.#span;
    if (span === undefined) return;
    for (const [name, value] of Object.entries(outcome(this.#start.protocol, code))) span.set(name, value);
    span.end(serverFailed.has(code) ? (error ?? code) : undefined);
  }

  #facts(
    code: string,
    durationMs: number,
    bytesIn: number,
    bytesOut: number,
    error: unknown,
    unlogged: number,
  ): object {
    const { method, protocol, subject, peer } = this.#start;
    const traceId = this.#span?.traceId ?? parseTraceparent(this.#start.traceparent)?.traceId;
    return {
      ...this.#tags,
      method,
      protocol,
      code,
      duration_ms: Math.round(durationMs * 1_000) / 1_000,
      subject,
      peer,
      bytes_in: bytesIn,
      bytes_out: bytesOut,
      request_id: this.requestId,
      ...(traceId === undefined ? {} : { trace_id: traceId }),
      ...(unlogged > 0 ? { unlogged } : {}),
      ...(error === undefined ? {} : { err: error }),
    };
  }
}

const checkedId = (id: string | undefined): string | undefined =>
  id !== undefined && /^[\w.:@/+=-]{1,128}$/.test(id) ? id : undefined;

const systems: Readonly<Record<Exclude<Protocol, "http">, string>> = {
  grpc: "grpc",
  "grpc-web": "grpc",
  connect: "connectrpc",
  peer: "tailrace",
};

function methodAttributes(method: string, protocol: Protocol): Attributes {
  if (protocol !== "http") return { "rpc.system.name": systems[protocol], "rpc.method": method };
  const [verb = "_OTHER", route] = method.split(" ");
  return { "http.request.method": verb, ...(route === undefined ? {} : { "http.route": route }) };
}

/** The attributes that say how it ended: gRPC spells its codes in capitals. */
function outcome(protocol: Protocol, code: string): Attributes {
  const failed = serverFailed.has(code) ? { "error.type": code } : {};
  if (protocol === "http") return code === "ok" ? {} : { "error.type": code };
  const spelled = protocol === "grpc" || protocol === "grpc-web" ? code.toUpperCase() : code;
  return { "rpc.status_code": spelled, ...failed };
}

function serverSpan({ method, protocol, subject, peer, traceparent }: CallStart): SpanOptions {
  const colon = peer.lastIndexOf(":");
  return {
    kind: "server",
    parent: traceparent,
    attributes: {
      ...methodAttributes(method, protocol),
      "enduser.id": subject,
      "network.peer.address": colon < 0 ? peer : peer.slice(0, colon),
      ...(colon < 0 ? {} : { "network.peer.port": Number(peer.slice(colon + 1)) }),
    },
  };
}
