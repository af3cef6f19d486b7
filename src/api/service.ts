/**
 * Puts the service together: it takes a log, a cluster view and the access rules, and creates a router for the listener.
 * It does not open or close what it takes.
 */
import type { AccessControl } from "../access/mod.ts";
import { Fault } from "../fault.ts";
import { file_google_rpc_error_details } from "../gen/google/rpc/error_details_pb.js";
import { file_grpc_health_v1_health, Health } from "../gen/grpc/health/v1/health_pb.js";
import {
  file_grpc_reflection_v1_reflection,
  ServerReflection,
} from "../gen/grpc/reflection/v1/reflection_pb.js";
import {
  file_grpc_reflection_v1alpha_reflection,
  ServerReflection as ServerReflectionAlpha,
} from "../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { Cluster, Cursors, file_log_v1_log, Log, Logs, Tokens } from "../gen/log/v1/log_pb.js";
import type { Telemetry } from "../lib/telemetry.ts";
import type { Clock } from "../lib/time/clock.ts";
import { batchRecordsMax, recordHeadersMax } from "../log/mod.ts";
import { MemoryBudget, observeMemory } from "../memory/mod.ts";
import type { CommitLog, LogCatalog } from "../types.ts";
import { CallTracker } from "./calls/call-tracker.ts";
import { Traffic } from "./calls/traffic.ts";
import { TrafficHistory } from "./calls/traffic-history.ts";
import { observeCluster } from "./cluster-metrics.ts";
import type { ClusterView } from "./cluster-view.ts";
import { logService } from "./connect/log-service.ts";
import type { LogServiceOptions } from "./connect/log-service-options.ts";
import { rpcHandler, rpcService } from "./connect/rpc-routes.ts";
import type { FastPath } from "./fast-path/fast-path.ts";
import type { FastPathOptions } from "./fast-path/fast-path-context.ts";
import { healthService } from "./health.ts";
import type { TokenReader } from "./http/bearer.ts";
import { StreamEventCache } from "./http/durable-streams/event-text.ts";
import type { LoginOptions } from "./http/login/login-routes.ts";
import type { OriginRules } from "./http/origin-rules.ts";
import { createRouter, type Pages, type Router } from "./http/router.ts";
import { TailTextCache } from "./http/tails/tail-text.ts";
import type { Tickets } from "./http/tickets/ticket-parameter.ts";
import type { ClusterAdmin } from "./methods/admin-operations.ts";
import { type ClusterOperations, clusterService } from "./methods/cluster-service.ts";
import { cursorsService } from "./methods/cursors/cursors-service.ts";
import { LogDirectory } from "./methods/logs/log-directory.ts";
import { logsService } from "./methods/logs/logs-service.ts";
import { defaultStreamBudget, StreamBudget } from "./methods/stream-budget.ts";
import { type TokenAdmin, tokensService } from "./methods/tokens/tokens-service.ts";
import type { Readiness } from "./readiness.ts";
import { reflection } from "./reflection.ts";
import { sentBytesMax } from "./request-limits/message-limits.ts";

export interface ServiceOptions {
  readonly log: CommitLog;
  /** The named logs. Default: there is only `default`. */
  readonly named?: LogCatalog | undefined;
  readonly cluster: ClusterView;
  readonly access: Pick<
    AccessControl,
    "check" | "authorize" | "authenticate" | "onReload" | "allowedActions" | "authorizeSome" | "patternsOf"
  >;
  /** Reads the tokens of requests. Default: the header Authorization is ignored. */
  readonly tokens?: TokenReader | undefined;
  /** Makes and takes tickets. Default: there are none. */
  readonly tickets?: Tickets | undefined;
  /** Sessions of browsers. Default: there is no login, and cookies are ignored. */
  readonly login?: LoginOptions | undefined;
  /** Default: the service Tokens is not served. */
  readonly tokenAdmin?: TokenAdmin | undefined;
  readonly readiness: Readiness;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly origins: OriginRules;
  readonly version: string;
  readonly recordBytesMax: number;
  readonly requestBytesMax: number;
  /** The operations that change the cluster. Default: none is served. */
  readonly operations?: ClusterOperations;
  /** Reads the log for a backup on the fast path. Default: Connect serves Backup. */
  readonly backup?: ClusterAdmin["backup"] | undefined;
  readonly pages?: Pages | undefined;
  /** `host:port` of probes and metrics. */
  readonly opsAddress?: string | undefined;
  /** Creates the fast path. Default: Connect serves all RPCs. */
  readonly fastPath?: ((options: FastPathOptions) => FastPath) | undefined;
  /** Interval of heartbeats and pings of idle streams, in milliseconds. Default 15 s. */
  readonly heartbeatMs?: number;
  /** Time of the filter of one request, in milliseconds. Default 10 s. */
  readonly filterMs?: number | undefined;
  /** Memory of the requests and responses of all clients. Default 256 MiB. */
  readonly memory?: MemoryBudget | undefined;
  /** Deadline of `POST /` and `GET /`, in milliseconds. Default 30 s. */
  readonly responseMs?: number;
}

export interface Service {
  readonly router: Router;
  readonly traffic: Traffic;
  readonly calls: CallTracker;
  /** Ends every long call with Fault "unavailable", so that clients use another node. Short calls finish by themselves. */
  drain(): void;
}

const memoryBytesDefault = 256 * 1024 * 1024;

export function createService(options: ServiceOptions): Service {
  const { log, access, clock, telemetry, filterMs } = options;
  const heartbeatMs = options.heartbeatMs ?? 15_000;
  const traffic = new Traffic(telemetry.metrics);
  observeCluster(telemetry.metrics, options.cluster);
  const memory = options.memory ?? new MemoryBudget({ limit: memoryBytesDefault, clock });
  observeMemory(telemetry.metrics, memory);
  const calls = new CallTracker({ access, telemetry, clock, memory });
  const history = new TrafficHistory(traffic, clock);
  const shared = sharedOptions(options, { heartbeatMs, filterMs, traffic, history, memory, calls });
  const textCache = new TailTextCache();
  const streamEvents = new StreamEventCache(memory);
  const tail = { log, clock, calls, traffic, memory, textCache, streamEvents, filterMs, pingMs: heartbeatMs };
  const router = createRouter({
    rpc: rpcHandler(rpcServices(options, shared), {
      calls,
      clock,
      telemetry,
      memory,
      readMaxBytes: options.requestBytesMax,
      writeMaxBytes: sentBytesMax,
      recordLimits: shared.recordLimits,
    }),
    produceConsume: shared,
    tail,
    logs: { ...shared, access, tail },
    origins: options.origins,
    clock,
    telemetry,
    tokens: options.tokens,
    tickets: options.tickets,
    login: options.login,
    fastPath: options.fastPath?.(shared),
    pages: options.pages,
    opsAddress: options.opsAddress,
  });
  const drain = (): void => {
    history.stop();
    calls.endLong(new Fault("unavailable", { message: "the server is stopping" }));
  };
  return { router, traffic, calls, drain };
}

type SharedOptions = LogServiceOptions & FastPathOptions;

/** What the log service, the fast path and `POST /` share. */
function sharedOptions(
  options: ServiceOptions,
  made: Pick<SharedOptions, "heartbeatMs" | "filterMs" | "traffic" | "history" | "memory" | "calls">,
): SharedOptions {
  const { log, named, cluster, clock, telemetry, requestBytesMax } = options;
  return {
    ...made,
    log,
    logs: new LogDirectory({ log, named, calls: made.calls }),
    origins: options.origins,
    responseMs: options.responseMs ?? 30_000,
    backup: options.backup,
    cluster,
    clock,
    tracer: telemetry.tracer,
    recordLimits: {
      recordBytesMax: options.recordBytesMax,
      recordsMax: batchRecordsMax,
      headersMax: recordHeadersMax,
    },
    requestBytesMax,
    streamBudget: new StreamBudget({
      ...defaultStreamBudget,
      totalBytesMax: Math.min(defaultStreamBudget.totalBytesMax, made.memory.limit / 4),
    }),
    clusterVersion: options.version,
  };
}

/** All gRPC services. Health and reflection list their names, reflection describes their files. */
function rpcServices(
  { cluster, access, readiness, tokenAdmin, operations = {} }: ServiceOptions,
  shared: SharedOptions,
) {
  const names = [Log, Logs, Cursors, Cluster, Tokens, Health, ServerReflection, ServerReflectionAlpha].map(
    ({ typeName }) => typeName,
  );
  const files = [
    file_log_v1_log,
    file_grpc_health_v1_health,
    file_grpc_reflection_v1_reflection,
    file_grpc_reflection_v1alpha_reflection,
    file_google_rpc_error_details,
  ];
  const serverReflectionInfo = reflection(files, names);
  return [
    rpcService(Log, logService(shared)),
    rpcService(Logs, logsService(shared)),
    rpcService(Cursors, cursorsService(shared)),
    // Compression took most of the processor time of a backup, on both sides.
    rpcService(Cluster, clusterService({ cluster, access, readiness, operations }), {
      compressMinBytes: Number.POSITIVE_INFINITY,
    }),
    rpcService(Tokens, tokenAdmin === undefined ? {} : tokensService(tokenAdmin)),
    rpcService(Health, healthService(readiness, names)),
    rpcService(ServerReflection, { serverReflectionInfo }),
    rpcService(ServerReflectionAlpha, { serverReflectionInfo }),
  ];
}
