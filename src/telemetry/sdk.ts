/**
 * Starts the OpenTelemetry SDK. This file and its imports take 250 ms and 40 MB, so they are loaded only if an exporter
 * is configured.
 *
 * Traces follow OTEL_* (exporter, sampler, limits, batches) or OTEL_CONFIG_FILE. Metrics are the instruments, through
 * own readers. Logs are not exported.
 */
import * as otel from "@opentelemetry/api";
import {
  ConsoleMetricExporter,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
} from "@opentelemetry/sdk-metrics";
import { startNodeSdk } from "@opentelemetry/sdk-node";
import type { Attributes, Logger } from "../lib/telemetry.ts";
import { type Clock, within } from "../lib/time/clock.ts";
import type { ExportSettings } from "./export-settings.ts";
import type { Instruments } from "./instruments.ts";
import { InstrumentProducer } from "./otel-metrics.ts";

const flushMs = 3_000;

export interface SdkOptions {
  readonly settings: ExportSettings;
  readonly instruments: Instruments;
  readonly clock: Clock;
  readonly resource: Attributes;
  readonly log: Logger;
}

/** Starts the SDK. Returns a function that flushes and stops it. */
export async function startSdk({
  settings,
  instruments,
  clock,
  resource,
  log,
}: SdkOptions): Promise<() => Promise<void>> {
  const producer = new InstrumentProducer(instruments, clock);
  const readers = await Promise.all(
    settings.metrics.map(
      async (name) =>
        new PeriodicExportingMetricReader({
          exporter: name === "otlp" ? await otlpExporter(settings) : new ConsoleMetricExporter(),
          exportIntervalMillis: settings.metricsEveryMs,
          exportTimeoutMillis: Math.min(30_000, settings.metricsEveryMs),
          metricProducers: [producer],
        }),
    ),
  );
  const sdk = startNodeSdk({
    logLevel: "error",
    resourceAttributes: { ...resource },
    metricReaders: readers,
    logRecordProcessors: [],
    // Undefined means the processors of OTEL_*. With a processor that does nothing, spans are recorded for the files.
    ...(settings.traces ? {} : { spanProcessors: [idleProcessor] }),
  });
  otel.diag.setLogger(diagTo(log), { logLevel: otel.DiagLogLevel.WARN, suppressOverrideMessage: true });
  return async () => {
    try {
      // A collector that does not answer must not keep the node from stopping.
      const flushed = await within(clock, sdk.shutdown(), flushMs);
      if (flushed === "late") throw new Error(`no answer within ${flushMs} ms`);
    } catch (err) {
      log.warn({ err }, "telemetry was not flushed");
    } finally {
      for (const api of [otel.trace, otel.metrics, otel.context, otel.propagation, otel.diag]) api.disable();
    }
  };
}

const done = (): Promise<void> => Promise.resolve();
const idleProcessor = { onStart: () => {}, onEnd: () => {}, forceFlush: done, shutdown: done };

async function otlpExporter({ metricsProtocol }: ExportSettings): Promise<PushMetricExporter> {
  switch (metricsProtocol) {
    case "grpc":
      return new (await import("@opentelemetry/exporter-metrics-otlp-grpc")).OTLPMetricExporter();
    case "http/json":
      return new (await import("@opentelemetry/exporter-metrics-otlp-http")).OTLPMetricExporter();
    case "http/protobuf":
      return new (await import("@opentelemetry/exporter-metrics-otlp-proto")).OTLPMetricExporter();
  }
}

/** Writes the SDK's own messages to the log. */
const diagTo = (log: Logger): otel.DiagLogger => ({
  error: (message, ...more) => log.warn({ more }, `opentelemetry: ${message}`),
  warn: (message, ...more) => log.warn({ more }, `opentelemetry: ${message}`),
  info: (message) => log.debug({}, `opentelemetry: ${message}`),
  debug: (message) => log.debug({}, `opentelemetry: ${message}`),
  verbose: () => {},
});
