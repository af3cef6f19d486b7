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
import type { Traffic } from "../calls/traffic.ts";
import { intervalBetween, type TrafficHistory, type TrafficInterval } from "../calls/traffic-history.ts";
import type { ClusterChange, ClusterView } from "../cluster-view.ts";
import { clusterStateOf, describe } from "./describe.ts";

export interface WatchOptions {
  readonly log: CommitLog;
  readonly cluster: ClusterView;
  readonly clock: Clock;
  readonly traffic: Traffic;
  readonly history: Pick<TrafficHistory, "last">;
  readonly clusterVersion: string;
}

type Event = MessageInitShape<typeof WatchEventSchema>;

const intervalMsMin = 100;
const intervalMsDefault = 1000;
const changesKeptMax = 1024;

/**
 * Yields events until `signal` is aborted.
 * @param request.intervalMs 0: 1000 ms
 * @param request.pastMs 0: no history
 * @throws Fault "bad-request" for an interval below 100 ms; the fault of the abort
 */
export async function* watch(
  options: WatchOptions,
  request: { readonly intervalMs: number; readonly pastMs: number },
  signal: AbortSignal,
): AsyncGenerator<Event, void, undefined> {
  const intervalMs = request.intervalMs === 0 ? intervalMsDefault : request.intervalMs;
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
  if (request.pastMs > 0) {
    const intervals = options.history.last(request.pastMs).map(throughputOf);
    yield event({ case: "history", value: { intervals } });
  }
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
    const counted = throughputOf(intervalBetween(before, after, now - sampledAtMs));
    const value = { ...counted, tails: traffic.tails, nextOffset: BigInt(next) };
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

const throughputOf = ({ recordsIn, bytesIn, recordsOut, bytesOut, ...rest }: TrafficInterval) => ({
  ...rest,
  recordsIn: BigInt(recordsIn),
  bytesIn: BigInt(bytesIn),
  recordsOut: BigInt(recordsOut),
  bytesOut: BigInt(bytesOut),
});

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
