/** The metrics of the named logs: how many there are, with their cursors, how many there may be, and what the quotas refused. */
import type { Metrics } from "../../../lib/telemetry.ts";
import type { LogTable } from "../../../log/mod.ts";
import type { LogQuotas } from "../log-quotas.ts";
import type { CursorLags } from "./cursor-lags.ts";

/** Registers the metrics. The leader alone refuses, so the refusals of a cluster are the sum over its nodes. */
export function observeLogs(
  metrics: Metrics,
  table: () => Pick<LogTable, "size" | "cursors">,
  quotas: Pick<LogQuotas, "logsMax" | "refused">,
  cursors: Pick<CursorLags, "collect">,
): void {
  metrics.gauge(
    "tailrace.logs",
    { description: "Named logs, as this node has applied them", unit: "{log}" },
    () => table().size,
  );
  metrics.gauge(
    "tailrace.cursors",
    { description: "Cursors of all logs, as this node has applied them", unit: "{cursor}" },
    () => table().cursors,
  );
  metrics.gauge(
    "tailrace.cursor.lag",
    {
      description: "Records from a cursor to the end of its log, of the 16 cursors that are furthest behind",
      unit: "{record}",
    },
    () => cursors.collect().map(({ lag, log, cursor }) => ({ value: lag, attributes: { log, cursor } })),
  );
  metrics.gauge(
    "tailrace.logs.limit",
    { description: "Named logs that the cluster may have (--logs-max)", unit: "{log}" },
    () => quotas.logsMax,
  );
  metrics.total(
    "tailrace.logs.refused",
    { description: "Creates, appends and cursors that a quota of named logs refused", unit: "{request}" },
    () => Object.entries(quotas.refused).map(([quota, value]) => ({ value, attributes: { quota } })),
  );
}
