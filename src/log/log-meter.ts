/**
 * The telemetry of the log: how long syncs take, how large groups are, a span for each flush that contains a traced
 * append, and gauges of its size and extent, which are read only when metrics are collected.
 *
 * It measures writes to the disk, and notes when the last ones began and ended, so a leader and its followers report the same.
 */
import { type Metrics, type Span, secondsBoundaries, type Tracer } from "../lib/telemetry.ts";
import type { Clock } from "../lib/time/clock.ts";
import type { Bounds, Offset } from "../types.ts";
import { type FrameGroup, lastOfGroup } from "./frame/frame-group.ts";
import type { RecoveryReport } from "./recovery/recover.ts";
import type { ScrubTotals } from "./recovery/scrub.ts";
import type { SegmentMeta } from "./segment/segment.ts";
import type { Settler } from "./settle/settler.ts";
import { FlushTimes } from "./write/flush-times.ts";

/** Receives the measurements. */
export interface LogTelemetry {
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  readonly clock: Clock;
}

/** What the gauges read. */
export interface MeteredLog {
  readonly bounds: Bounds;
  readonly segments: readonly { readonly bytes: number }[];
  readonly recovery: RecoveryReport;
  readonly openFiles: { readonly stores: number; readonly mappings: number };
  readonly damagedSegments: number;
  readonly rows: { readonly unsaved: number };
  readonly scrubbed: ScrubTotals;
  readonly sealed: readonly { readonly meta: Pick<SegmentMeta, "settled"> }[];
  readonly settler: Pick<Settler, "totals" | "merged" | "passes" | "space"> | undefined;
}

/** A flush under way. One of the two is called at its end. */
export interface FlushMeter {
  /** `nextOffset` is the offset after the last written record. */
  done(nextOffset: Offset): void;
  failed(reason: unknown): void;
}

const recordBoundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16_384, 65_536];
const byteBoundaries = Array.from({ length: 10 }, (_, at) => 64 * 4 ** at).filter(
  (bytes) => bytes <= 4 * 1024 * 1024,
);

/** The most traceparents that are kept while the disk refuses writes. */
const linkedMax = 1024;

export class LogMeter {
  readonly flushes = new FlushTimes();
  readonly #clock: Clock;
  readonly #tracer: Tracer;
  readonly #syncs;
  readonly #records;
  readonly #bytes;
  /** Traceparents of the appends in the next flush. */
  readonly #linked: string[] = [];

  constructor({ metrics, tracer, clock }: LogTelemetry, log: MeteredLog, freeBytes: () => number) {
    this.#clock = clock;
    this.#tracer = tracer;
    this.#syncs = metrics.histogram("tailrace.log.sync.duration", {
      description: "Duration of fdatasync on the log; in the thread pool, of the write with it",
      unit: "s",
      boundaries: secondsBoundaries,
    });
    this.#records = metrics.histogram("tailrace.log.group.records", {
      description: "Records made durable by one write group",
      unit: "{record}",
      boundaries: recordBoundaries,
    });
    this.#bytes = metrics.histogram("tailrace.log.group.size", {
      description: "Bytes of one write group",
      unit: "By",
      boundaries: byteBoundaries,
    });
    observe(metrics, log, freeBytes);
  }

  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  synced(beganMs: number): void {
    const tookMs = this.#clock.monotonicMs() - beganMs;
    this.#syncs.record(tookMs / 1000);
    this.flushes.synced(tookMs);
  }

  /** The next flush contains appends with these traceparents. */
  linkNextFlush(traceparents: readonly string[]): void {
    if (this.#tracer.on && this.#linked.length < linkedMax) this.#linked.push(...traceparents);
  }

  /** A flush of these groups begins. `nextOffset` is the offset after the last record written before it. */
  flushing(groups: readonly FrameGroup[], nextOffset: Offset): FlushMeter | undefined {
    const [first, last] = [groups[0], groups[groups.length - 1]];
    if (first === undefined || last === undefined) return undefined;
    this.flushes.began(first.first, lastOfGroup(last), this.nowMs());
    let bytes = 0;
    for (const group of groups) bytes += group.bytes.length;
    const linked = this.#linked.length;
    const span = linked > 0 ? this.#span() : undefined;
    return {
      done: (next) => {
        this.flushes.ended(this.nowMs());
        this.#linked.splice(0, linked);
        if (next > nextOffset) this.#records.record(next - nextOffset);
        this.#bytes.record(bytes);
        if (span === undefined) return;
        span.set("tailrace.group.records", next - nextOffset);
        span.set("tailrace.group.bytes", bytes);
        span.end();
      },
      failed: (reason) => span?.end(reason),
    };
  }

  /** The span of a flush of many appends is a child of the first sampled one and has links to the others. */
  #span(): Span | undefined {
    const sampled = this.#linked.filter(isSampled);
    const [parent, ...links] = sampled;
    if (parent === undefined) return undefined;
    const attributes = { "tailrace.group.traced": sampled.length };
    return this.#tracer.span("fsync", { parent, links, attributes });
  }
}

/** The last digit of a traceparent holds the sampled flag. */
const isSampled = (traceparent: string): boolean => /[13579bdf]$/.test(traceparent);

/** A closed log is still shown as it was: the last export of a process comes after. */
function observe(metrics: Metrics, log: MeteredLog, freeBytes: () => number): void {
  const gauge = (name: string, unit: string, description: string, look: () => number): void => {
    metrics.gauge(`tailrace.log.${name}`, { description, unit }, look);
  };
  gauge("size", "By", "Bytes of all stores of the log", () =>
    log.segments.reduce((sum, { bytes }) => sum + bytes, 0),
  );
  gauge("segments", "{segment}", "Segments of the log", () => log.segments.length);
  gauge("offset.lowest", "{record}", "The lowest offset that can be read", () => log.bounds.lowest);
  gauge("offset.next", "{record}", "The offset after the last committed record", () => log.bounds.next);
  gauge("files.open", "{file}", "Store files and index mappings that are open", () => {
    const { stores, mappings } = log.openFiles;
    return stores + mappings;
  });
  gauge(
    "damaged",
    "{segment}",
    "Segments, base files and databases of named logs in which damage was found",
    () => log.damagedSegments,
  );
  gauge(
    "rows.unsaved",
    "{row}",
    "Rows of named logs that are in memory because the database does not have them yet",
    () => log.rows.unsaved,
  );
  metrics.total(
    "tailrace.log.scrubbed",
    { description: "Bytes of sealed segments read again to find damage", unit: "By" },
    () => log.scrubbed.bytes,
  );
  observeSpace(metrics, log);
  observeSettling(metrics, log);
  gauge("disk.free", "By", "Bytes free where the log lies", freeBytes);
  metrics.total(
    "tailrace.log.recovery.cuts",
    { description: "Torn write groups cut off when the log was opened", unit: "{cut}" },
    () => (log.recovery.cut === undefined ? 0 : 1),
  );
  metrics.total(
    "tailrace.log.recovery.rewritten",
    { description: "Bytes made durable again when the log was opened", unit: "By" },
    () => log.recovery.rewrittenBytes,
  );
}

/** What settling and merging did, what they left, and whether they go on. */
function observeSettling(metrics: Metrics, log: Pick<MeteredLog, "settler" | "sealed">): void {
  const total = (name: string, unit: string, description: string, look: () => number): void => {
    metrics.total(`tailrace.log.${name}`, { description, unit }, look);
  };
  total(
    "settled.segments",
    "{segment}",
    "Segments that were settled, each time one was",
    () => log.settler?.totals.segments ?? 0,
  );
  total(
    "merged.segments",
    "{segment}",
    "Settled segments that became part of another one",
    () => log.settler?.merged.from ?? 0,
  );
  total(
    "settling.failures",
    "{pass}",
    "Passes of settling and merging that the disk ended",
    () => log.settler?.passes.failed ?? 0,
  );
  const gauge = (name: string, unit: string, description: string, look: () => number): void => {
    metrics.gauge(`tailrace.log.${name}`, { description, unit }, look);
  };
  gauge(
    "settling.duration",
    "s",
    "Duration of the last whole pass over all segments: counting, settling and merging",
    () => (log.settler?.passes.lastMs ?? 0) / 1000,
  );
  gauge(
    "settled.files",
    "{segment}",
    "Sealed segments with settled frames",
    () => log.sealed.filter(({ meta }) => meta.settled !== undefined).length,
  );
  gauge("settled.size", "By", "Bytes of the settled frames in sealed segments", () =>
    log.sealed.reduce((sum, { meta }) => sum + (meta.settled?.bytes ?? 0), 0),
  );
}

function observeSpace(metrics: Metrics, log: Pick<MeteredLog, "settler">): void {
  const gauge = (name: string, description: string, look: () => number): void => {
    metrics.gauge(`tailrace.log.${name}`, { description, unit: "By" }, look);
  };
  metrics.total(
    "tailrace.log.settled",
    { description: "Bytes of removed records that settling gave back", unit: "By" },
    () => log.settler?.totals.freedBytes ?? 0,
  );
  gauge(
    "removed",
    "Bytes that removed records hold of the sealed segments, as the last count found",
    () => log.settler?.space?.removedBytes ?? 0,
  );
  gauge(
    "dead",
    "Bytes that settling would give back, as the last count found",
    () => log.settler?.space?.reclaimableBytes ?? 0,
  );
  const perLog = (name: string, description: string, kind: "removed" | "keeping"): void => {
    const read = () =>
      (log.settler?.space?.[kind] ?? []).map(({ name: log, bytes: value }) => ({
        value,
        attributes: { log },
      }));
    metrics.gauge(`tailrace.log.${name}`, { description, unit: "By" }, read);
  };
  perLog(
    "removed.of",
    "Bytes of removed records in the sealed segments, for the ten logs with the most",
    "removed",
  );
  perLog(
    "removed.kept",
    "Bytes of removed records in the files from the oldest record of a log on, for the ten logs that keep the most",
    "keeping",
  );
}
