/** The metrics and the log rate limits of one method by one protocol. */
import {
  type Attributes,
  type Counter,
  type Histogram,
  type Metrics,
  type Protocol,
  secondsBoundaries,
} from "../lib/telemetry.ts";
import { RateGate } from "../lib/time/rate-gate.ts";
import { methodAttributes, outcomeAttributes } from "./call-attributes.ts";

export class CallMeter {
  readonly attributes: Attributes;
  /** For metrics that are not in the conventions. They distinguish gRPC from gRPC-Web. */
  readonly ownAttributes: Attributes;
  /** Limits the log lines of successful calls. */
  readonly successGate: RateGate;
  /** Limits the log lines of calls that failed because of the caller. */
  readonly failureGate: RateGate;
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
    this.successGate = new RateGate(linesPerSecond);
    this.failureGate = new RateGate(linesPerSecond);
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
        attributes: { ...this.attributes, ...outcomeAttributes(this.#protocol, code) },
      },
    );
    if (code === "ok") this.#ok = histogram;
    this.#durations.set(code, histogram);
    return histogram;
  }
}
