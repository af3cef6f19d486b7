/**
 * A node's telemetry, opened once and handed to every room: log, metrics, tracer and calls.
 *
 * Counting is always on and costs nothing worth measuring; the OpenTelemetry SDK is loaded at the start only when
 * OTEL_* or `--debug-telemetry` asks, and the Prometheus text when it is first scraped.
 *
 * Never: waits for an exporter on a call's way.
 */
import { randomBytes } from "node:crypto";
import {
  type Attributes,
  type CallStart,
  type CallTelemetry,
  noMetrics,
  noTelemetry,
  noTracer,
  type Telemetry,
  type Tracer,
} from "../lib/telemetry.ts";
import { type Clock, systemClock } from "../lib/time/clock.ts";
import { Calls } from "./calls.ts";
import { type DebugFiles, openDebugFiles } from "./debug-files.ts";
import { askedBy, type Environment } from "./environment.ts";
import { Instruments } from "./instruments.ts";
import { createLogger, type LoggerOptions, type NodeLogger } from "./logger.ts";
import { observeProcess } from "./process-metrics.ts";

export interface TelemetryOptions extends LoggerOptions {
  readonly version: string;
  readonly nodeName?: string;
  /** Of the process; OTEL_* are read from it. */
  readonly env?: Environment;
  /** False: nothing is counted, and with the log silent calls cost nothing at all. Default true. */
  readonly count?: boolean;
  /** Of `--debug-telemetry`. */
  readonly debugDirectory?: string;
  readonly clock?: Clock;
  /** Lines a second and method for calls that went well. Default 10. */
  readonly linesPerSecond?: number;
}

export interface NodeTelemetry extends Telemetry, AsyncDisposable {
  readonly log: NodeLogger;
  /** What a Prometheus server scrapes. The first time it takes about 100 ms more. */
  prometheus(): Promise<string>;
}

export async function openTelemetry(options: TelemetryOptions): Promise<NodeTelemetry> {
  const { version, env = {}, clock = systemClock, debugDirectory } = options;
  const log = await createLogger(options);
  const instruments = new Instruments();
  const metrics = options.count === false ? noMetrics : instruments;
  observeProcess(metrics);
  const resource: Attributes = {
    "service.name": env["OTEL_SERVICE_NAME"] ?? "tailrace",
    "service.version": version,
    ...(options.nodeName === undefined ? {} : { "service.instance.id": options.nodeName }),
  };

  let debug: DebugFiles | undefined;
  if (debugDirectory !== undefined) debug = openDebugFiles(debugDirectory, instruments, clock, log);
  const asked = askedBy(env);
  const traced = asked.traces || debug !== undefined;
  let stopSdk = async (): Promise<void> => {};
  let tracer: InstanceType<typeof import("./tracing.ts").OtelTracer> | undefined;
  if (traced || asked.metrics.length > 0) {
    const { startSdk } = await import("./sdk.ts");
    stopSdk = await startSdk({ asked, instruments, clock, resource, log });
  }
  if (traced) {
    const { OtelTracer } = await import("./tracing.ts");
    tracer = new OtelTracer(version, debug?.span);
  }

  const calls = new Calls({
    log,
    metrics,
    clock,
    tracer,
    idPrefix: randomBytes(6).toString("base64url"),
    ...(options.linesPerSecond === undefined ? {} : { linesPerSecond: options.linesPerSecond }),
  });
  const quiet = options.count === false && tracer === undefined && !log.enabled("fatal");
  let scrape: Promise<() => Promise<string>> | undefined;
  return {
    log,
    metrics,
    tracer: (tracer ?? noTracer) satisfies Tracer,
    // A caller's trace is checked in any case, for it is handed on.
    begin: (start: CallStart): CallTelemetry =>
      quiet && start.traceparent === undefined ? noTelemetry.begin(start) : calls.begin(start),
    async prometheus() {
      scrape ??= import("./otel-metrics.ts").then(({ InstrumentProducer, prometheusText }) =>
        prometheusText(new InstrumentProducer(instruments, clock), resource),
      );
      return (await scrape)();
    },
    async [Symbol.asyncDispose]() {
      await stopSdk();
      debug?.[Symbol.dispose]();
    },
  };
}
