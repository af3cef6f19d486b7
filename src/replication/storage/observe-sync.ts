/** Reports where groups are synced, and how often that changed. A node that does not sync every group reports neither. */
import type { Metrics } from "../../lib/telemetry.ts";
import type { SyncPolicy } from "../../log/mod.ts";

export function observeSync(metrics: Metrics, policy: Pick<SyncPolicy, "mode" | "changes">): void {
  metrics.gauge(
    "tailrace.log.sync.inline",
    { description: "1 if small write groups are synced on the event loop, 0 in the thread pool", unit: "1" },
    () => (policy.mode === "inline" ? 1 : 0),
  );
  metrics.total(
    "tailrace.log.sync.changes",
    { description: "Changes between syncs on the event loop and in the thread pool", unit: "{change}" },
    () => policy.changes,
  );
}
