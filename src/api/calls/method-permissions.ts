/**
 * The permission that each RPC and HTTP route requires. The table of log.v1 is exhaustive: a method of the contract
 * without an entry does not compile. AccessControl decides who has a permission; this file only says which one is needed.
 */
import type { Action } from "../../access/mod.ts";
import type { Cluster, Cursors, Log, Logs, Tokens } from "../../gen/log/v1/log_pb.js";

/** What a method is called and what it requires. There is one object per method. */
export interface MethodPermission {
  /** `log.v1.Log/Produce`, `POST /`. */
  readonly name: string;
  /** The action that the caller must be allowed. Undefined: any authenticated caller may call. */
  readonly action: Action | undefined;
  /** True if the messages name the log that the permission is about. Otherwise it is known when the call begins. */
  readonly ofLog?: boolean;
  /** True for calls without a bound on their duration. A server that stops ends them. */
  readonly long: boolean;
}

type MethodName<Service extends { method: object }> = Extract<keyof Service["method"], string>;
/**
 * An action, or "authenticated" for methods that need none; with " of log" if the request names the log; with " long" for
 * calls of unbounded duration.
 */
type Rule = `${Action | `${Action} of log` | "authenticated"}${"" | " long"}`;

const capitalized = (name: string): string => `${name[0]?.toUpperCase()}${name.slice(1)}`;

function permissionsOf<Name extends string>(
  service: string,
  rules: Record<Name, Rule>,
): Readonly<Record<Name, MethodPermission>> {
  const entries = Object.entries<string>(rules).map(([name, rule]) => {
    const [action, ...more] = rule.split(" ") as [Action | "authenticated", ...string[]];
    const permission: MethodPermission = {
      name: `${service}/${capitalized(name)}`,
      action: action === "authenticated" ? undefined : action,
      ofLog: more.includes("log"),
      long: more.includes("long"),
    };
    return [name, permission] as const;
  });
  return Object.fromEntries(entries) as Readonly<Record<Name, MethodPermission>>;
}

export const logPermissions = permissionsOf<MethodName<typeof Log>>("log.v1.Log", {
  produce: "produce of log",
  consume: "consume of log",
  consumeStream: "consume of log long",
  produceStream: "produce of log long",
  produceBatch: "produce of log",
  produceBulk: "produce of log long",
  consumeBatches: "consume of log long",
  getServers: "authenticated",
  describe: "describe of log",
  trim: "trim of log",
  watch: "describe long",
});

export const logsPermissions = permissionsOf<MethodName<typeof Logs>>("log.v1.Logs", {
  createLog: "create of log",
  getLog: "describe of log",
  listLogs: "describe of log",
  updateLog: "configure of log",
  closeLog: "configure of log",
  deleteLog: "delete of log",
  tailLogs: "consume of log long",
});

export const cursorsPermissions = permissionsOf<MethodName<typeof Cursors>>("log.v1.Cursors", {
  get: "cursor of log",
  commit: "cursor of log",
  list: "describe of log",
  delete: "cursor of log",
});

export const clusterPermissions = permissionsOf<MethodName<typeof Cluster>>("log.v1.Cluster", {
  members: "describe",
  event: "admin",
  query: "admin long",
  addNode: "admin",
  removeNode: "admin",
  transferLeadership: "admin",
  backup: "admin long",
  status: "authenticated",
  whoAmI: "authenticated",
});

/** Who can add a key can issue a token for any subject. */
const tokensPermissions = permissionsOf<MethodName<typeof Tokens>>("log.v1.Tokens", {
  addTokenKey: "admin",
  removeTokenKey: "admin",
  listTokenKeys: "admin",
  revokeToken: "admin",
  listRevokedTokens: "admin",
});

const healthPermissions = permissionsOf("grpc.health.v1.Health", {
  check: "authenticated",
  list: "authenticated",
  watch: "authenticated long",
});

const reflectionPermission: MethodPermission = {
  name: "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
  action: "describe",
  long: true,
};
const reflectionAlphaPermission: MethodPermission = {
  ...reflectionPermission,
  name: "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
};

export const postPermission: MethodPermission = { name: "POST /", action: "produce", long: false };
export const getPermission: MethodPermission = { name: "GET /", action: "consume", long: false };
export const tailPermission: MethodPermission = { name: "GET /tail", action: "consume", long: true };

/** Makes a ticket: the action is that of the tail that the ticket opens. */
export const ticketPermission: MethodPermission = {
  name: "POST /tickets",
  action: "consume",
  ofLog: true,
  long: false,
};

/** The routes of named logs. NAME stands for any name. */
export const logRoutePermissions = {
  list: { name: "GET /logs", action: "describe", ofLog: true, long: false },
  /** A request whose name is not one. */
  misnamed: { name: "/logs/NAME", action: undefined, long: false },
  create: { name: "PUT /logs/NAME", action: "create", long: false },
  update: { name: "PATCH /logs/NAME", action: "configure", long: false },
  delete: { name: "DELETE /logs/NAME", action: "delete", long: false },
  head: { name: "HEAD /logs/NAME", action: "describe", long: false },
  describe: { name: "GET /logs/NAME", action: "describe", long: false },
  produce: { name: "POST /logs/NAME", action: "produce", long: false },
  consume: { name: "GET /logs/NAME?offset", action: "consume", long: false },
  tail: { name: "GET /logs/NAME?from", action: "consume", long: true },
  /** The logs of the request are known when it is parsed. */
  tailLogs: { name: "GET /tail?prefix", action: "consume", ofLog: true, long: true },
} as const satisfies Record<string, MethodPermission>;

/** The routes of cursors. NAME stands for any name of a cursor. */
export const cursorRoutePermissions = {
  list: { name: "GET /cursors", action: "describe", long: false },
  get: { name: "GET /cursors/NAME", action: "cursor", long: false },
  commit: { name: "PUT /cursors/NAME", action: "cursor", long: false },
  delete: { name: "DELETE /cursors/NAME", action: "cursor", long: false },
} as const satisfies Record<string, MethodPermission>;

/** The routes of the Durable Streams protocol. NAME stands for any name of a log. */
export const streamRoutePermissions = {
  misnamed: { name: "/v1/stream/NAME", action: undefined, long: false },
  create: { name: "PUT /v1/stream/NAME", action: "create", long: false },
  append: { name: "POST /v1/stream/NAME", action: "produce", long: false },
  read: { name: "GET /v1/stream/NAME", action: "consume", long: false },
  longPoll: { name: "GET /v1/stream/NAME?live=long-poll", action: "consume", long: true },
  events: { name: "GET /v1/stream/NAME?live=sse", action: "consume", long: true },
  head: { name: "HEAD /v1/stream/NAME", action: "describe", long: false },
  delete: { name: "DELETE /v1/stream/NAME", action: "delete", long: false },
} as const satisfies Record<string, MethodPermission>;

const rpcPermissions: readonly MethodPermission[] = [
  ...Object.values(logPermissions),
  ...Object.values(logsPermissions),
  ...Object.values(cursorsPermissions),
  ...Object.values(clusterPermissions),
  ...Object.values(tokensPermissions),
  ...Object.values(healthPermissions),
  reflectionPermission,
  reflectionAlphaPermission,
];
const byPath = new Map(rpcPermissions.map((permission) => [`/${permission.name}`, permission]));

/** Returns what an RPC path such as `/log.v1.Log/Produce` requires; undefined for a path that is no RPC of ours. */
export function permissionOfPath(path: string): MethodPermission | undefined {
  return byPath.get(path);
}
