/** The metrics of file descriptors: how many the process has open, and how many it may open. Only Linux shows them. */
import { readdirSync } from "node:fs";
import type { Metrics } from "../../lib/telemetry.ts";

/** Registers the metrics. `limit` is the soft limit (RLIMIT_NOFILE), if it is known. */
export function observeDescriptors(metrics: Metrics, limit: number | undefined): void {
  if (limit === undefined) return;
  metrics.gauge(
    "process.unix.file_descriptor.count",
    { description: "File descriptors that the process has open", unit: "{file_descriptor}" },
    () => readdirSync("/proc/self/fd").length,
  );
  metrics.gauge(
    "tailrace.descriptors.limit",
    { description: "File descriptors that the process may have open (ulimit -n)", unit: "{file_descriptor}" },
    () => limit,
  );
}
