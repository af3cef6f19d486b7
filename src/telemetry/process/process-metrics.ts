/** Metrics of the process: memory, CPU and event loop. They are read when metrics are collected. */
import { performance } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import type { Metrics } from "../../lib/telemetry.ts";
import { EventLoopDelay, type LoopDelay } from "./event-loop-delay.ts";

const delays = [
  ["p50", "Median of how late timers were since the last collection"],
  ["p99", "99th percentile of how late timers were since the last collection"],
  ["max", "How late a timer was at most since the last collection"],
] satisfies [keyof LoopDelay, string][];

/** Names of Node.js and V8 follow the conventions of OpenTelemetry. Dispose of the result to end the measurement of delays. */
export function registerProcessMetrics(metrics: Metrics): Disposable {
  metrics.gauge("process.memory.usage", { description: "Resident memory of the process", unit: "By" }, () =>
    process.memoryUsage.rss(),
  );
  metrics.total("process.cpu.time", { description: "CPU time of the process", unit: "s" }, () => {
    const { user, system } = process.cpuUsage();
    return [
      { value: user / 1e6, attributes: { "cpu.mode": "user" } },
      { value: system / 1e6, attributes: { "cpu.mode": "system" } },
    ];
  });
  metrics.gauge("process.uptime", { description: "Seconds since the process began", unit: "s" }, () =>
    process.uptime(),
  );
  metrics.gauge(
    "v8js.memory.heap.used",
    { description: "Heap in use", unit: "By" },
    () => getHeapStatistics().used_heap_size,
  );
  let before = performance.eventLoopUtilization();
  metrics.gauge(
    "nodejs.eventloop.utilization",
    { description: "Share of time the event loop was busy since the last collection", unit: "1" },
    () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, before);
      before = now;
      return utilization;
    },
  );
  const loopDelay = new EventLoopDelay();
  for (const [name, description] of delays)
    metrics.gauge(`nodejs.eventloop.delay.${name}`, { description, unit: "s" }, () => {
      const reading = loopDelay.read();
      return reading === undefined ? [] : [{ value: reading[name], attributes: {} }];
    });
  return loopDelay;
}
