/**
 * Runs one workload and counts the calls that were acknowledged in the measured time. Calls of the warm-up and calls that
 * return later are not counted.
 */
import { Fault } from "../../client/mod.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { LatencyHistogram } from "./histogram.ts";
import type { BenchTarget, LoadSettings, Workload } from "./workloads.ts";

export interface Measured {
  readonly seconds: number;
  readonly calls: number;
  readonly records: number;
  readonly bytes: number;
  /** Milliseconds from call to response. */
  readonly latency: LatencyHistogram;
  /** The number of faults by their kind. */
  readonly faults: Readonly<Record<string, number>>;
  /** CPU time of this process as a share of one core. */
  readonly cpuShare: number;
}

export interface BenchTiming {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/**
 * Runs the workload for the warm-up and the measured time.
 * @throws Fault "deadline" if nothing was acknowledged
 */
export async function measure(
  target: BenchTarget,
  workload: Workload,
  settings: LoadSettings,
  timing: BenchTiming,
  clock: Clock,
): Promise<Measured> {
  const stop = new AbortController();
  const latency = new LatencyHistogram();
  const faults: Record<string, number> = {};
  let calls = 0;
  let records = 0;
  let bytes = 0;
  const beginMs = clock.monotonicMs() + timing.warmUpMs;
  const endMs = beginMs + timing.measureMs;
  let cpu: NodeJS.CpuUsage | undefined;
  let cpuMs = 0;
  const onBegin = clock.after(timing.warmUpMs, () => (cpu = process.cpuUsage()), true);
  const onEnd = clock.after(
    timing.warmUpMs + timing.measureMs,
    () => {
      const used = process.cpuUsage(cpu);
      cpuMs = (used.user + used.system) / 1000;
      stop.abort();
    },
    true,
  );
  try {
    await workload(target, settings, {
      signal: stop.signal,
      now: () => clock.monotonicMs(),
      done(beganMs, count, size) {
        const nowMs = clock.monotonicMs();
        if (nowMs < beginMs || nowMs > endMs) return;
        calls++;
        records += count;
        bytes += size;
        latency.add(nowMs - beganMs);
      },
      failed(fault) {
        faults[fault.kind] = (faults[fault.kind] ?? 0) + 1;
      },
    });
  } finally {
    onBegin.cancel();
    onEnd.cancel();
  }
  if (records === 0) {
    throw new Fault("deadline", { message: `nothing was acknowledged within ${timing.measureMs} ms` });
  }
  const seconds = timing.measureMs / 1000;
  return { seconds, calls, records, bytes, latency, faults, cpuShare: cpuMs / timing.measureMs };
}
