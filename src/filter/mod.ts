/** The filter module: conditions in CEL about records, evaluated within limits of time and memory. See README.md. */
export { compileFilter } from "./compile/compile-filter.ts";
export type { Filter } from "./filter.ts";
export { FilteredLogsTail } from "./tails/filtered-logs-tail.ts";
export { FilteredTail } from "./tails/filtered-tail.ts";
