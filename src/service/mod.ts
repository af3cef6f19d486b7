/**
 * The service room: every RPC and every HTTP door of a log, behind one front. See DESIGN.md.
 */
export { adminOperations, type ClusterAdmin } from "./admin-operations.ts";
export { createAssets } from "./assets.ts";
export type { Caller } from "./call.ts";
export type { Readiness } from "./cluster-service.ts";
export { codeName, codeOf } from "./errors.ts";
export { expressLane } from "./express/lane.ts";
export type { Front } from "./front.ts";
export { defaultH2Limits, type H2Limits } from "./h2/h2-connection.ts";
export { H2Session } from "./h2/h2-session.ts";
export { NodeExchange, requestTarget } from "./http/node-exchange.ts";
export { membershipOperations } from "./membership-operations.ts";
export { MemoryBudget } from "./memory/memory-budget.ts";
export { isKnownHost } from "./origin.ts";
export { createService } from "./service.ts";
export { reasonsNotReady } from "./unready.ts";
