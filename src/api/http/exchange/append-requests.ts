/** Which requests append. Those of one connection of HTTP/1.1 may run at the same time; all others run alone. */
import { logPermissions, postPermission } from "../../calls/method-permissions.ts";
import { isStreamPath } from "../durable-streams/stream-path.ts";
import { isLogsPath } from "../logs/log-path.ts";

const { produce, produceBatch, produceStream, produceBulk } = logPermissions;
const rpcPaths: ReadonlySet<string> = new Set(
  [produce, produceBatch, produceStream, produceBulk].map(({ name }) => `/${name}`),
);
const rootPath = postPermission.name.slice("POST ".length);

/** Returns whether a request with this method and this target (a path, with or without a query) appends. */
export function isAppendRequest(method: string | undefined, target: string): boolean {
  if (method !== "POST") return false;
  const query = target.indexOf("?");
  const path = query < 0 ? target : target.slice(0, query);
  return path === rootPath || rpcPaths.has(path) || isLogsPath(path) || isStreamPath(path);
}
