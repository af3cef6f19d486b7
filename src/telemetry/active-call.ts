/** A call under way: its tags, its span, and its end with metrics and a log line. */
import type { AttributeValue, CallStart, CallTelemetry } from "../lib/telemetry.ts";
import type { Clock } from "../lib/time/clock.ts";
import { isServerError, logLevelOf, outcomeAttributes } from "./call-attributes.ts";
import type { CallMeter } from "./call-meter.ts";
import type { NodeLogger } from "./logger.ts";
import type { OtelSpan } from "./otel-tracer.ts";
import { formatTraceparent, parseTraceparent } from "./trace-context.ts";

const tagsMax = 32;
const tagCharsMax = 256;

/** What all calls of a node share. */
export interface CallScope {
  readonly log: NodeLogger;
  readonly clock: Clock;
  /** Whether the log writes debug lines. Most calls on a busy node depend on it, so it is read once. */
  readonly debugEnabled: boolean;
  /** Returns a new request id. */
  nextId(): string;
}

export class ActiveCall implements CallTelemetry {
  readonly #scope: CallScope;
  readonly #meter: CallMeter;
  readonly #start: CallStart;
  readonly #span: OtelSpan | undefined;
  readonly #startedMs: number;
  #requestId: string | undefined;
  #tags: Record<string, AttributeValue> | undefined;
  #ended = false;

  constructor(scope: CallScope, meter: CallMeter, start: CallStart, span: OtelSpan | undefined) {
    this.#scope = scope;
    this.#meter = meter;
    this.#start = start;
    this.#span = span;
    this.#startedMs = scope.clock.monotonicMs();
  }

  get requestId(): string {
    this.#requestId ??= checkedId(this.#start.requestId) ?? this.#scope.nextId();
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
    const nowMs = this.#scope.clock.monotonicMs();
    const durationMs = nowMs - this.#startedMs;
    this.#meter.end(code, durationMs / 1_000, bytesIn, bytesOut);
    this.#endSpan(code, error);
    const { log } = this.#scope;
    const level = logLevelOf(code, error);
    const gate =
      level === "error" || level === "warn"
        ? undefined
        : code === "ok"
          ? this.#meter.successGate
          : this.#meter.failureGate;
    const pass = level !== "debug" && (gate?.pass(nowMs) ?? true);
    const written = pass ? level : "debug";
    if (written === "debug" ? !this.#scope.debugEnabled : !log.enabled(written)) return;
    const unlogged = pass ? (gate?.takeDropped() ?? 0) : 0;
    log[written](this.#facts(code, durationMs, bytesIn, bytesOut, error, unlogged), "call");
  }

  #endSpan(code: string, error: unknown): void {
    const span = this.#span;
    if (span === undefined) return;
    for (const [name, value] of Object.entries(outcomeAttributes(this.#start.protocol, code)))
      span.set(name, value);
    span.end(isServerError(code) ? (error ?? code) : undefined);
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

/** Returns the caller's request id if it is safe to log. */
const checkedId = (id: string | undefined): string | undefined =>
  id !== undefined && /^[\w.:@/+=-]{1,128}$/.test(id) ? id : undefined;
