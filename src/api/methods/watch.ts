/**
 * Watch: the events of the dashboard. Throughput and the cluster (whose offsets and lags change all the time) at every
 * interval; the cluster and its members at once when they change; the segments at the start and when they change. A slow
 * client receives the newest state, and at most `changesKeptMax` membership changes.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Fault } from "../../fault.ts";
import type { WatchEventSchema } from "../../gen/log/v1/log_pb.js";
import type { Clock } from "../../lib/time/clock.ts";
import type { CommitLog } from "../../types.ts";
import { faultOfAbort } from "../calls/abort.ts";
import { latencyBetween, type Traffic, type TrafficSample } from "../calls/traffic.ts";
import type { ClusterChange, ClusterView } from "../cluster-view.ts";
import { clusterStateOf, describe } from "./describe.ts";

export interface WatchOptions {
  readonly log: CommitLog;
  readonly cluster: ClusterView;
  readonly clock: Clock;
  readonly traffic: Traffic;
  readonly clusterVersion: string;
}

type Event = MessageInitShape<typeof WatchEventSchema>;

const intervalMsMin = 100;
const intervalMsDefault = 1000;
const changesKeptMax = 1024;

/**
 * Yields events until `signal` is aborted.
 * @param requestedIntervalMs 0: 1000 ms
 * @throws Fault "bad-request" for an interval below 100 ms; the fault of the abort
 */
export async function* watch(
  options: WatchOptions,
  requestedIntervalMs: number,
  signal: AbortSignal,
): AsyncGenerator<Event, void, undefined> {
  const intervalMs = requestedIntervalMs === 0 ? intervalMsDefault : requestedIntervalMs;
  if (intervalMs < intervalMsMin) {
    throw new Fault("bad-request", {
      message: `interval_ms is ${intervalMs}, the minimum is ${intervalMsMin}`,
      facts: { field: "interval_ms" },
    });
  }
  const { clock, cluster, traffic, log } = options;
  using changes = new ChangeQueue(cluster, clock, signal);
  const event = (value: NonNullable<Event["event"]>): Event => ({
    atMs: BigInt(clock.wallMs()),
    event: value,
  });
  const clusterEvent = (): Event => event({ case: "cluster", value: clusterStateOf(cluster) });
  let before = traffic.sample();
  let sampledAtMs = clock.monotonicMs();
  let sentSegments = "";
  yield clusterEvent();
  for (;;) {
    const description = await describe(log, cluster, options.clusterVersion);
    const shape = segmentShape(description);
    if (shape !== sentSegments) {
      sentSegments = shape;
      yield event({ case: "segments", value: description });
    }
    const dueMs = sampledAtMs + intervalMs;
    while (!signal.aborted && clock.monotonicMs() < dueMs) {
      const received = await changes.takeUntil(dueMs);
      for (const change of received) yield event({ case: "membership", value: { ...change } });
      if (received.length > 0) yield clusterEvent();
    }
    if (signal.aborted) throw faultOfAbort(signal);
    const after = traffic.sample();
    const now = clock.monotonicMs();
    const { next } = await log.bounds({ mode: "any" });
    const value = throughput(before, after, now - sampledAtMs, traffic.tails, next);
    yield event({ case: "throughput", value });
    yield clusterEvent();
    before = after;
    sampledAtMs = now;
  }
}

/** Membership changes that were not sent yet: the first `changesKeptMax` of them. */
class ChangeQueue implements Disposable {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #stopListening: () => void;
  #changes: ClusterChange[] = [];
  #wake: (() => void) | undefined;

  constructor(cluster: ClusterView, clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    this.#stopListening = cluster.onChange((change) => {
      if (this.#changes.length < changesKeptMax) this.#changes.push(change);
      this.#wake?.();
    });
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Resolves with the changes once there are some, with none at `dueMs` (monotonic) or when the signal is aborted. */
  async takeUntil(dueMs: number): Promise<ClusterChange[]> {
    if (this.#changes.length === 0 && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = this.#clock.after(dueMs - this.#clock.monotonicMs(), resolve);
        this.#wake = () => {
          timer.cancel();
          resolve();
        };
      });
      this.#wake = undefined;
    }
    const taken = this.#changes;
    this.#changes = [];
    return taken;
  }

  readonly #onAbort = (): void => this.#wake?.();

  [Symbol.dispose](): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#stopListening();
  }
}

function throughput(
  before: TrafficSample,
  after: TrafficSample,
  elapsedMs: number,
  tails: number,
  next: number,
) {
  return {
    intervalMs: Math.max(1, Math.round(elapsedMs)),
    recordsIn: BigInt(after.recordsIn - before.recordsIn),
    bytesIn: BigInt(after.bytesIn - before.bytesIn),
    recordsOut: BigInt(after.recordsOut - before.recordsOut),
    bytesOut: BigInt(after.bytesOut - before.bytesOut),
    appendP50Ms: latencyBetween(before, after, 0.5),
    appendP99Ms: latencyBetween(before, after, 0.99),
    tails,
    nextOffset: BigInt(next),
  };
}

/** Returns a text that changes when a segment is created, sealed or deleted, but not with every record. */
function segmentShape(description: {
  lowestOffset?: bigint;
  segments?: { baseOffset?: bigint; sealed?: boolean }[];
}): string {
  const segments = (description.segments ?? []).map(
    ({ baseOffset, sealed }) => `${baseOffset}${sealed ? "s" : ""}`,
  );
  return `${description.lowestOffset}:${segments.join()}`;
}
