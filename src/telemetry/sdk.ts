/**
 * The OpenTelemetry SDK, started for those who asked. This file and what it imports are loaded only then: 250 ms and
 * 40 MB that a node without exporters does not pay.
 *
 * Traces follow OTEL_* (exporter, sampler, limits, batches) or OTEL_CONFIG_FILE; metrics are our instruments through
 * readers of our own; logs stay with pino.
 *
 * Never: prints to standard output.
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
import type { Asked } from "./environment.ts";
import type { Instruments } from "./instruments.ts";
import { InstrumentProducer } from "./otel-metrics.ts";

const flushMs = 3_000;

export interface SdkOptions {
  readonly asked: Asked;
  readonly instruments: Instruments;
  readonly clock: Clock;
  readonly resource: Attributes;
  readonly log: Logger;
}

/** Starts it; answers how to flush and stop it. */
export async function startSdk({
  asked,
  instruments,
  clock,
  resource,
  log,
}: SdkOptions): Promise<() => Promise<void>> {
  const producer = new InstrumentProducer(instruments, clock);
  const readers = await Promise.all(
    asked.metrics.map(
      async (name) =>
        new PeriodicExportingMetricReader({
          exporter: name === "otlp" ? await otlpExporter(asked) : new ConsoleMetricExporter(),
          exportIntervalMillis: asked.metricsEveryMs,
          exportTimeoutMillis: Math.min(30_000, asked.metricsEveryMs),
          metricProducers: [producer],
        }),
    ),
  );
  const sdk = startNodeSdk({
    logLevel: "error",
    resourceAttributes: { ...resource },
    metricReaders: readers,
    logRecordProcessors: [],
    // Undefined means: as OTEL_* says. A processor that does nothing still lets spans be recorded, for the files.
    ...(asked.traces ? {} : { spanProcessors: [idleProcessor] }),
  });
  otel.diag.setLogger(diagTo(log), { logLevel: otel.DiagLogLevel.WARN, suppressOverrideMessage: true });
  return async () => {
    try {
      // A collector that does not answer must not keep the node from going.
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

async function otlpExporter({ metricsProtocol }: Asked): Promise<PushMetricExporter> {
  switch (metricsProtocol) {
    case "grpc":
      return new (await import("@opentelemetry/exporter-metrics-otlp-grpc")).OTLPMetricExporter();
    case "http/json":
      return new (await import("@opentelemetry/exporter-metrics-otlp-http")).OTLPMetricExporter();
    case "http/protobuf":
      return new (await import("@opentelemetry/exporter-metrics-otlp-proto")).OTLPMetricExporter();
  }
}

/** The SDK's own complaints, in our log. */
const diagTo = (log: Logger): otel.DiagLogger => ({
  error: (message, ...more) => log.warn({ more }, `opentelemetry: ${message}`),
  warn: (message, ...more) => log.warn({ more }, `opentelemetry: ${message}`),
  info: (message) => log.debug({}, `opentelemetry: ${message}`),
  debug: (message) => log.debug({}, `opentelemetry: ${message}`),
  verbose: () => {},
});
