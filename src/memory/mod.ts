/** The exports of the module. Other modules import from here only. */
export { MemoryBudget, smallBytes, stalledFault } from "./memory-budget.ts";
export { observeMemory } from "./memory-metrics.ts";
export type { MemoryShare } from "./memory-share.ts";
export { UnsentBytes } from "./unsent-bytes.ts";
