/**
 * Counters, histograms and gauges without an SDK: recording a value takes a few additions and allocates nothing.
 * Exporters (Prometheus, OTLP, files) collect snapshots. All sums are cumulative since the start.
 *
 * Invariants: a name has one kind, unit and description, and at most `seriesMax` sets of attributes. Further ones share
 * a series marked `otel.metric.overflow`, as OpenTelemetry specifies.
 */
import { assert } from "../lib/assert.ts";
import type {
  Attributes,
  Counter,
  Histogram,
  HistogramOptions,
  InstrumentOptions,
  Metrics,
  Observation,
  Observe,
} from "../lib/telemetry.ts";

export type MetricKind = "counter" | "histogram" | "gauge";

export interface HistogramPoint {
  readonly boundaries: readonly number[];
  /** One more entry than `boundaries`. */
  readonly counts: readonly number[];
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
}

export interface MetricPoint {
  readonly attributes: Attributes;
  readonly value: number | HistogramPoint;
}

/** The current values of all series of one name. */
export interface MetricSnapshot {
  readonly name: string;
  readonly kind: MetricKind;
  readonly description: string;
  readonly unit: string;
  readonly points: readonly MetricPoint[];
}

class CounterSeries implements Counter {
  value = 0;
  add(amount: number): void {
    if (amount > 0) this.value += amount;
  }
}

class HistogramSeries implements Histogram {
  readonly #boundaries: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;

  constructor(boundaries: readonly number[]) {
    this.#boundaries = boundaries;
    this.#counts = new Float64Array(boundaries.length + 1);
  }

  record(value: number): void {
    if (Number.isNaN(value)) return;
    let low = 0;
    let high = this.#boundaries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value <= (this.#boundaries[middle] as number)) high = middle;
      else low = middle + 1;
    }
    this.#counts[low] = (this.#counts[low] as number) + 1;
    this.#sum += value;
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
  }

  point(): HistogramPoint {
    const counts = [...this.#counts];
    const count = counts.reduce((sum, one) => sum + one, 0);
    return {
      boundaries: this.#boundaries,
      counts,
      count,
      sum: this.#sum,
      min: count === 0 ? 0 : this.#min,
      max: count === 0 ? 0 : this.#max,
    };
  }
}

interface Family {
  readonly kind: MetricKind;
  readonly options: InstrumentOptions;
  readonly series: Map<
    string,
    { readonly attributes: Attributes; readonly instrument: CounterSeries | HistogramSeries }
  >;
  readonly observers: Set<{ readonly attributes: Attributes; readonly observe: Observe }>;
}

const overflow: Attributes = { "otel.metric.overflow": true };
const namePattern = /^[a-z][a-z0-9_.]*$/;

export class Instruments implements Metrics {
  readonly #families = new Map<string, Family>();
  readonly #seriesMax: number;

  /** Allows at most `seriesMax` sets of attributes per name, default 2,000. */
  constructor(seriesMax = 2_000) {
    this.#seriesMax = seriesMax;
  }

  counter(name: string, options: InstrumentOptions): Counter {
    return this.#series(name, "counter", options, () => new CounterSeries()) as CounterSeries;
  }

  histogram(name: string, options: HistogramOptions): Histogram {
    const { boundaries } = options;
    const make = (): HistogramSeries => new HistogramSeries(boundaries);
    return this.#series(name, "histogram", options, make) as HistogramSeries;
  }

  gauge(name: string, options: InstrumentOptions, observe: Observe): () => void {
    return this.#observer(name, "gauge", options, observe);
  }

  total(name: string, options: InstrumentOptions, observe: Observe): () => void {
    return this.#observer(name, "counter", options, observe);
  }

  /** Returns the current values. An observer that throws is left out. */
  collect(): MetricSnapshot[] {
    return [...this.#families].map(([name, { kind, options, series, observers }]) => {
      const points: MetricPoint[] = [...series.values()].map(({ attributes, instrument }) => ({
        attributes,
        value: instrument instanceof HistogramSeries ? instrument.point() : instrument.value,
      }));
      // Two observers of the same series would make the page invalid for Prometheus. The later one counts.
      const seen = new Map(
        [...observers].flatMap(observeSafely).map((point) => [keyOf(point.attributes), point]),
      );
      points.push(...seen.values());
      return { name, kind, description: options.description, unit: options.unit, points };
    });
  }

  #series(
    name: string,
    kind: MetricKind,
    options: InstrumentOptions,
    make: () => CounterSeries | HistogramSeries,
  ): CounterSeries | HistogramSeries {
    const { series } = this.#family(name, kind, options);
    const wanted = options.attributes ?? {};
    const known = series.get(keyOf(wanted));
    if (known !== undefined) return known.instrument;
    const attributes = series.size < this.#seriesMax ? wanted : overflow;
    const shared = series.get(keyOf(attributes));
    if (shared !== undefined) return shared.instrument;
    const instrument = make();
    series.set(keyOf(attributes), { attributes, instrument });
    return instrument;
  }

  #observer(name: string, kind: MetricKind, options: InstrumentOptions, observe: Observe): () => void {
    const { observers } = this.#family(name, kind, options);
    const observer = { attributes: options.attributes ?? {}, observe };
    observers.add(observer);
    return () => observers.delete(observer);
  }

  #family(name: string, kind: MetricKind, options: InstrumentOptions): Family {
    assert(namePattern.test(name), `"${name}" is not a valid metric name`);
    let family = this.#families.get(name);
    if (family === undefined) {
      family = { kind, options, series: new Map(), observers: new Set() };
      this.#families.set(name, family);
    }
    assert(
      family.kind === kind && family.options.unit === options.unit,
      `${name} is a ${family.kind} already`,
    );
    return family;
  }
}

const keyOf = (attributes: Attributes): string => JSON.stringify(Object.entries(attributes).sort());

function observeSafely({
  attributes,
  observe,
}: {
  attributes: Attributes;
  observe: Observe;
}): readonly MetricPoint[] {
  try {
    const seen = observe();
    if (typeof seen === "number") return [{ attributes, value: seen }];
    return seen.map(({ value, attributes: own }: Observation) => ({
      attributes: { ...attributes, ...own },
      value,
    }));
  } catch {
    return []; // Telemetry must not fail the node. The missing series is visible to operators.
  }
}
