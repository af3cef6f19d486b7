/**
 * The service room: every RPC and every HTTP door of a log, behind one front. See DESIGN.md.
 */
export { adminOperations, type BackupPart, type ClusterAdmin } from "./admin-operations.ts";
export { type AppendDesk, type AppendRequest, appendFor, appendOptionsOf } from "./append.ts";
export { type AssetsOptions, createAssets } from "./assets.ts";
export { Call, CallDesk, type Caller, type CallMeta, type Door } from "./call.ts";
export type { ClusterOperations, Readiness } from "./cluster-service.ts";
export { clusterDoors, doorOfPath, logDoors } from "./doors.ts";
export { codeName, codeOf, connectErrorOf, errorDomain, errorObject, httpErrorOf } from "./errors.ts";
export { expressLane } from "./express/lane.ts";
export type { Express, Front, Pages } from "./front.ts";
export { encodeGrpcMessage } from "./grpc-message.ts";
export { defaultH2Limits, type H2Limits } from "./h2/h2-connection.ts";
export { H2Session } from "./h2/h2-session.ts";
export type { Exchange } from "./http/exchange.ts";
export { NodeExchange, requestTarget } from "./http/node-exchange.ts";
export { membershipOperations } from "./membership-operations.ts";
export { MemoryBudget } from "./memory/memory-budget.ts";
export { isKnownHost, type OriginRules } from "./origin.ts";
export { createService, type ExpressShared, type Service, type ServiceOptions } from "./service.ts";
export { Traffic } from "./traffic.ts";
export { reasonsNotReady } from "./unready.ts";
