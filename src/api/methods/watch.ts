/**
 * Watch: what the dashboard shows. Throughput and the cluster (its offsets and lags move all the time) at every
 * interval, the cluster and its members at once when they change, the segments at first and whenever there are other
 * ones. It begins with one of each.
 *
 * Never: keeps more than the newest of what a slow watcher has not read, membership changes excepted (bounded).
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Fault } from "../../fault.ts";
import type { WatchEventSchema } from "../../gen/log/v1/log_pb.js";
import type { Clock } from "../../lib/time/clock.ts";
import type { ClusterChange, ClusterView, CommitLog } from "../../types.ts";
import { faultOfAbort } from "../calls/abort.ts";
import { latencyBetween, type Traffic, type TrafficSample } from "../calls/traffic.ts";
import { clusterStateOf, describe } from "./describe.ts";

export interface WatchOptions {
  readonly log: CommitLog;
  readonly cluster: ClusterView;
  readonly clock: Clock;
  readonly traffic: Traffic;
  readonly clusterVersion: string;
}

type Event = MessageInitShape<typeof WatchEventSchema>;

const intervalMsLeast = 100;
const intervalMsDefault = 1000;
const changesKeptMax = 1024;

export async function* watch(
  options: WatchOptions,
  intervalAsked: number,
  signal: AbortSignal,
): AsyncGenerator<Event, void, undefined> {
  const intervalMs = intervalAsked === 0 ? intervalMsDefault : intervalAsked;
  if (intervalMs < intervalMsLeast) {
    throw new Fault("bad-request", {
      message: `interval_ms is ${intervalMs}, the least is ${intervalMsLeast}`,
      facts: { field: "interval_ms" },
    });
  }
  const { clock, cluster, traffic, log } = options;
  const changes: ClusterChange[] = [];
  let wake: (() => void) | undefined;
  const stopListening = cluster.onChange((change) => {
    if (changes.length < changesKeptMax) changes.push(change);
    wake?.();
  });
  const onAbort = (): void => wake?.();
  signal.addEventListener("abort", onAbort, { once: true });
  const at = (): bigint => BigInt(clock.wallMs());
  try {
    let before = traffic.sample();
    let sampledAt = clock.monotonicMs();
    let segmentsShown = "";
    yield { atMs: at(), event: { case: "cluster", value: clusterStateOf(cluster) } };
    for (;;) {
      const description = await describe(log, cluster, options.clusterVersion);
      const shape = segmentShape(description);
      if (shape !== segmentsShown) {
        segmentsShown = shape;
        yield { atMs: at(), event: { case: "segments", value: description } };
      }
      const due = sampledAt + intervalMs;
      while (!signal.aborted && clock.monotonicMs() < due) {
        await new Promise<void>((resolve) => {
          const timer = clock.after(due - clock.monotonicMs(), resolve);
          wake = () => {
            timer.cancel();
            resolve();
          };
          if (changes.length > 0 || signal.aborted) wake();
        });
        wake = undefined;
        const news = changes.splice(0);
        for (const value of news) yield { atMs: at(), event: { case: "membership", value: { ...value } } };
        if (news.length > 0) yield { atMs: at(), event: { case: "cluster", value: clusterStateOf(cluster) } };
      }
      if (signal.aborted) throw faultOfAbort(signal);
      const after = traffic.sample();
      const now = clock.monotonicMs();
      const { next } = await log.bounds({ mode: "any" });
      yield {
        atMs: at(),
        event: { case: "throughput", value: throughput(before, after, now - sampledAt, traffic.tails, next) },
      };
      yield { atMs: at(), event: { case: "cluster", value: clusterStateOf(cluster) } };
      before = after;
      sampledAt = now;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    stopListening();
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

/** Changes when a segment is begun, sealed or dropped, and not with every record. */
function segmentShape(description: {
  lowestOffset?: bigint;
  segments?: { baseOffset?: bigint; sealed?: boolean }[];
}): string {
  const segments = (description.segments ?? []).map(
    ({ baseOffset, sealed }) => `${baseOffset}${sealed ? "s" : ""}`,
  );
  return `${description.lowestOffset}:${segments.join()}`;
}
