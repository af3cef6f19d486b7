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
  type ScopeMetrics,
} from "@opentelemetry/sdk-metrics";
import type { Attributes } from "../lib/telemetry.ts";
import type { Clock } from "../lib/time/clock.ts";
import { workTurns } from "../lib/time/work-turns.ts";
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

/** Points of one metric that are written at once. */
const pointsAtOnce = 100;

/**
 * Returns a function that returns the text for a Prometheus server. `resource` is written as `target_info`. The text is
 * written over several turns of the event loop.
 */
export function prometheusText(
  producer: MetricProducer,
  resource: Attributes,
  clock: Clock,
): () => Promise<string> {
  const exporter = new PrometheusExporter({ preventServerStart: true, metricProducers: [producer] });
  new MeterProvider({ readers: [exporter] });
  const [first, rest] = [false, true].map(
    (withoutTarget) => new PrometheusSerializer(undefined, false, undefined, withoutTarget, true),
  );
  return async () => {
    const { resourceMetrics } = await exporter.collect();
    const resourceOf = {
      ...resourceMetrics.resource,
      attributes: resource,
    } as typeof resourceMetrics.resource;
    let text = "";
    for (const { part, isContinued } of partsOf(resourceMetrics.scopeMetrics)) {
      await workTurns(clock).next();
      const serializer = text === "" ? first! : rest!;
      const lines = serializer.serialize({ resource: resourceOf, scopeMetrics: [part] });
      text += isContinued ? lines.replace(/^(?:#.*\n)+/, "") : lines;
    }
    return text;
  };
}

interface MetricPart {
  readonly part: ScopeMetrics;
  /** The part before it is of the same metric, and has its description. */
  readonly isContinued: boolean;
}

function* partsOf(all: readonly ScopeMetrics[]): Generator<MetricPart> {
  for (const { scope, metrics } of all) {
    for (const metric of metrics) {
      for (let at = 0; at < metric.dataPoints.length; at += pointsAtOnce) {
        const dataPoints = metric.dataPoints.slice(at, at + pointsAtOnce);
        yield { part: { scope, metrics: [{ ...metric, dataPoints } as MetricData] }, isContinued: at > 0 };
      }
    }
  }
}
