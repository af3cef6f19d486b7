/** The parameters that each request about named logs accepts. The handbook describes each of them. */
import { tailLogParams, tailParams } from "../tail-request.ts";

/** Route (see logRoutePermissions) → the names of its parameters. Others are refused. */
export const routeParams = {
  list: ["prefix", "after", "limit"],
  create: [],
  update: ["log_id"],
  delete: ["log_id"],
  head: ["log_id"],
  describe: ["log_id"],
  produce: ["create", "log_id"],
  consume: ["offset", "format", "log_id"],
  tail: [...tailParams, "follow", "log_id"],
  tailLogs: [...tailParams, ...tailLogParams],
} as const;
