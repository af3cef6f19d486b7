/**
 * Converts the instruments for OpenTelemetry: a MetricProducer for its readers, and the Prometheus text of its exporter.
 * It is loaded only if one of them is used. Each collect() reads the instruments.
 */
import { ValueType } from "@opentelemetry/api";
import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import {
  AggregationTemporality,
  type CollectionResult,
  DataPointType,
  MeterProvider,
  type MetricData,
  type MetricProducer,
} from "@opentelemetry/sdk-metrics";
import type { Attributes } from "../lib/telemetry.ts";
import type { Clock } from "../lib/time/clock.ts";
import type { HistogramPoint, Instruments, MetricPoint, MetricSnapshot } from "./instruments.ts";

type HrTime = [number, number];
const hrTime = (wallMs: number): HrTime => [Math.floor(wallMs / 1_000), Math.round((wallMs % 1_000) * 1e6)];

/** A reader replaces it by its own. */
const placeholderResource = {} as CollectionResult["resourceMetrics"]["resource"];

export class InstrumentProducer implements MetricProducer {
  readonly #instruments: Instruments;
  readonly #clock: Clock;
  readonly #started: HrTime;

  constructor(instruments: Instruments, clock: Clock) {
    this.#instruments = instruments;
    this.#clock = clock;
    this.#started = hrTime(clock.wallMs());
  }

  async collect(): Promise<CollectionResult> {
    const times = { startTime: this.#started, endTime: hrTime(this.#clock.wallMs()) };
    const metrics = this.#instruments
      .collect()
      .filter(({ points }) => points.length > 0)
      .map((snapshot) => toMetricData(snapshot, times));
    const scopeMetrics = [{ scope: { name: "tailrace" }, metrics }];
    return { resourceMetrics: { resource: placeholderResource, scopeMetrics }, errors: [] };
  }
}

function toMetricData(snapshot: MetricSnapshot, times: { startTime: HrTime; endTime: HrTime }): MetricData {
  const { name, kind, description, unit, points } = snapshot;
  const base = {
    descriptor: { name, description, unit, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  const numbers = (): { attributes: Attributes; value: number; startTime: HrTime; endTime: HrTime }[] =>
    points.map(({ attributes, value }) => ({ attributes, value: value as number, ...times }));
  if (kind === "counter") {
    return { ...base, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints: numbers() };
  }
  if (kind === "gauge") return { ...base, dataPointType: DataPointType.GAUGE, dataPoints: numbers() };
  return {
    ...base,
    dataPointType: DataPointType.HISTOGRAM,
    dataPoints: points.map(({ attributes, value }: MetricPoint) => {
      const { boundaries, counts, count, sum, min, max } = value as HistogramPoint;
      const buckets = { boundaries: [...boundaries], counts: [...counts] };
      return { attributes, value: { buckets, count, sum, min, max }, ...times };
    }),
  };
}

/** Returns a function that returns the text for a Prometheus server. `resource` is written as `target_info`. */
export function prometheusText(producer: MetricProducer, resource: Attributes): () => Promise<string> {
  const exporter = new PrometheusExporter({ preventServerStart: true, metricProducers: [producer] });
  new MeterProvider({ readers: [exporter] });
  const serializer = new PrometheusSerializer(undefined, false, undefined, false, true);
  return async () => {
    const { resourceMetrics } = await exporter.collect();
    const own = { ...resourceMetrics.resource, attributes: resource };
    return serializer.serialize({ ...resourceMetrics, resource: own as typeof resourceMetrics.resource });
  };
}
