/**
 * Metrics, spans and log lines of calls.
 *
 * begin() and end() are plain function calls: one small object per call, and histograms found by two map lookups. Log
 * lines of successful calls, and of calls that failed because of the caller or were redirected to the leader, are limited
 * per second and method. The next line counts the suppressed ones (`unlogged`). Canceled calls are debug lines. Every
 * denial, every overload and every failure of the node is logged.
 */
import type { Attributes, CallStart, CallTelemetry, Metrics, Protocol } from "../lib/telemetry.ts";
import type { Clock } from "../lib/time/clock.ts";
import { ActiveCall, type CallScope } from "./active-call.ts";
import { serverSpan } from "./call-attributes.ts";
import { CallMeter } from "./call-meter.ts";
import type { NodeLogger } from "./logger.ts";
import type { OtelSpan, OtelTracer } from "./otel-tracer.ts";

export interface CallsOptions {
  readonly log: NodeLogger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Prefix of the request ids, unique to this process. */
  readonly idPrefix: string;
  readonly tracer?: OtelTracer | undefined;
  /**
   * Log lines per second and method for successful calls, and as many for calls that failed because of the caller.
   * Default 10.
   */
  readonly linesPerSecond?: number;
}

const metersMax = 256;

export class Calls implements CallScope {
  readonly log: NodeLogger;
  readonly clock: Clock;
  readonly debugEnabled: boolean;
  readonly #options: CallsOptions;
  readonly #meters = new Map<string, Partial<Record<Protocol, CallMeter>>>();
  #metersMade = 0;
  #ids = 0;

  constructor(options: CallsOptions) {
    this.#options = options;
    this.log = options.log;
    this.clock = options.clock;
    this.debugEnabled = options.log.enabled("debug");
    options.metrics.gauge(
      "tailrace.calls.active",
      { description: "Calls and streams under way", unit: "{call}" },
      () => this.#active(),
    );
  }

  begin(start: CallStart): CallTelemetry {
    const meter = this.#meters.get(start.method)?.[start.protocol] ?? this.#makeMeter(start);
    meter.active++;
    return new ActiveCall(this, meter, start, this.#span(start));
  }

  #span(start: CallStart): OtelSpan | undefined {
    return this.#options.tracer?.span(start.method, serverSpan(start), start.tracestate);
  }

  nextId(): string {
    return `${this.#options.idPrefix}-${(++this.#ids).toString(36)}`;
  }

  /** Methods are a closed set. Should a caller's text become one, those beyond the limit share one meter. */
  #makeMeter({ method, protocol }: CallStart): CallMeter {
    const known = this.#metersMade < metersMax ? method : "_OTHER";
    const byProtocol = this.#meters.get(known) ?? {};
    this.#meters.set(known, byProtocol);
    const existing = byProtocol[protocol];
    if (existing !== undefined) return existing;
    const meter = new CallMeter(this.#options.metrics, known, protocol, this.#options.linesPerSecond ?? 10);
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
