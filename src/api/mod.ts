/** The API module: every RPC and HTTP route of a log, behind one router. See DESIGN.md. */

export { namedLogOf } from "../lib/names/log-name.ts";
export type { ClientConnection } from "./calls/call-tracker.ts";
export { codeName, codeOf } from "./calls/error-mapping.ts";
export type { ClusterChange, ClusterView, NodeView } from "./cluster-view.ts";
export { createFastPath } from "./fast-path/fast-path.ts";
export type { FastStream } from "./fast-path/fast-stream.ts";
export { isAppendRequest } from "./http/exchange/append-requests.ts";
export { NodeExchange } from "./http/exchange/node-exchange.ts";
export { requestTarget } from "./http/exchange/request-target.ts";
export type { LoginProvider, PendingLogin } from "./http/login/provider-login.ts";
export { isKnownHost } from "./http/origin-rules.ts";
export type { Pages, Router } from "./http/router.ts";
export { createStaticFiles, type Site, sites } from "./http/static-files.ts";
export { adminOperations, type ClusterAdmin } from "./methods/admin-operations.ts";
export {
  parseSetting,
  printSetting,
  type TextSetting,
  textSettings,
} from "./methods/logs/setting-texts.ts";
export { membershipOperations } from "./methods/membership-operations.ts";
export { type Readiness, reasonsNotReady } from "./readiness.ts";
export { createService } from "./service.ts";
