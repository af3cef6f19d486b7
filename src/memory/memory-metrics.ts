/** The metrics of the memory budget. */
import type { Metrics } from "../lib/telemetry.ts";
import type { Flow } from "./budget-account.ts";
import type { MemoryBudget } from "./memory-budget.ts";

const flows: readonly Flow[] = ["in", "out", "standing"];

export function observeMemory(metrics: Metrics, memory: MemoryBudget): void {
  const each = (value: (flow: Flow) => number) =>
    flows.map((flow) => ({ value: value(flow), attributes: { "tailrace.flow": flow } }));
  metrics.gauge(
    "tailrace.memory.held",
    {
      description: "Memory held by requests (in), responses (out), and connections and calls (standing)",
      unit: "By",
    },
    () => each((flow) => memory.bytesOf(flow)),
  );
  metrics.gauge(
    "tailrace.memory.limit",
    { description: "Memory that requests, responses, connections and calls may hold", unit: "By" },
    () => memory.limit,
  );
  metrics.total(
    "tailrace.memory.refused",
    {
      description: "Requests refused, and responses not begun, because the memory budget was used up",
      unit: "{request}",
    },
    () => each((flow) => memory.refused[flow]),
  );
  metrics.total(
    "tailrace.memory.cut",
    {
      description: "Requests and responses ended because they made no progress while memory was short",
      unit: "{request}",
    },
    () => memory.evictions,
  );
}
