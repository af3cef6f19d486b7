/**
 * A node's telemetry, opened once and given to every module: log, metrics, tracer and calls.
 *
 * Metrics are always counted. The OpenTelemetry SDK is loaded at the start if OTEL_* or `--debug-telemetry` requires it,
 * and the Prometheus exporter at the first scrape. No call waits for an exporter.
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
import { type Environment, exportSettings, optionalPackage } from "./export-settings.ts";
import { Instruments } from "./instruments.ts";
import { createLogger, type LoggerOptions, type NodeLogger } from "./logger.ts";
import { registerProcessMetrics } from "./process/process-metrics.ts";

export interface TelemetryOptions extends LoggerOptions {
  readonly version: string;
  readonly nodeName?: string;
  /** The environment with the OTEL_* variables. Default: empty. */
  readonly env?: Environment;
  /** If false, no metrics are counted. Default true. */
  readonly count?: boolean;
  /** The directory of `--debug-telemetry`. Default: none. */
  readonly debugDirectory?: string;
  readonly clock?: Clock;
  /** Log lines per second and method for successful calls. Default 10. */
  readonly linesPerSecond?: number;
}

export interface NodeTelemetry extends Telemetry, AsyncDisposable {
  readonly log: NodeLogger;
  /** Returns the text for a Prometheus server. The first call takes about 100 ms more. */
  prometheus(): Promise<string>;
}

export async function openTelemetry(options: TelemetryOptions): Promise<NodeTelemetry> {
  const { version, env = {}, clock = systemClock, debugDirectory } = options;
  const log = await createLogger(options);
  const instruments = new Instruments();
  const metrics = options.count === false ? noMetrics : instruments;
  const processMetrics = registerProcessMetrics(metrics);
  const resource: Attributes = {
    "service.name": env["OTEL_SERVICE_NAME"] ?? "tailrace",
    "service.version": version,
    ...(options.nodeName === undefined ? {} : { "service.instance.id": options.nodeName }),
  };

  const settings = exportSettings(env);
  const traced = settings.traces || debugDirectory !== undefined;
  let tracer: InstanceType<typeof import("./otel-tracer.ts").OtelTracer> | undefined;
  let stopSdk = async (): Promise<void> => {};
  if (traced || settings.metrics.length > 0) {
    const wantedBy = debugDirectory === undefined ? settings.wantedBy : "--debug-telemetry";
    const sdkOptions = { settings, instruments, clock, resource, log };
    stopSdk = await optionalPackage(async () => (await import("./sdk.ts")).startSdk(sdkOptions), wantedBy);
  }
  const debug = await openOrStop(debugDirectory, instruments, clock, log, stopSdk);
  if (traced) {
    const { OtelTracer } = await import("./otel-tracer.ts");
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
    // A caller's trace context is always parsed, because it is passed on.
    begin: (start: CallStart): CallTelemetry =>
      quiet && start.traceparent === undefined ? noTelemetry.begin(start) : calls.begin(start),
    async prometheus() {
      scrape ??= import("./otel-metrics.ts").then(({ InstrumentProducer, prometheusText }) =>
        prometheusText(new InstrumentProducer(instruments, clock), resource, clock),
      );
      return (await scrape)();
    },
    async [Symbol.asyncDispose]() {
      await stopSdk();
      debug?.[Symbol.dispose]();
      processMetrics[Symbol.dispose]();
    },
  };
}

/** Opens the files of `--debug-telemetry`, if there is a directory. If that fails, the SDK is stopped. */
async function openOrStop(
  directory: string | undefined,
  instruments: Instruments,
  clock: Clock,
  log: NodeLogger,
  stopSdk: () => Promise<void>,
): Promise<DebugFiles | undefined> {
  try {
    return directory === undefined ? undefined : openDebugFiles(directory, instruments, clock, log);
  } catch (reason) {
    await stopSdk();
    throw reason;
  }
}
