/**
 * The handlers of log.v1.Log on Connect. They are the reference for the fast path: it must behave as they do.
 *
 * Handlers throw Faults, and rpc-routes.ts converts them to errors. Access is checked before a message is read.
 */
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Log } from "../../gen/log/v1/log_pb.js";
import { signalOf, unlessAborted } from "../calls/abort.ts";
import { callOf } from "../calls/call-context.ts";
import { forwardHeader } from "../calls/request-headers.ts";
import type { ClusterView } from "../cluster-view.ts";
import { appendOptionsOf } from "../methods/append.ts";
import { readersOf } from "../methods/cursors/log-readers.ts";
import { describe } from "../methods/describe.ts";
import { freshnessOfCall } from "../methods/logs/create-log.ts";
import { numberOf } from "../methods/messages.ts";
import { watch } from "../methods/watch.ts";
import { consumeMethods } from "./log-consume.ts";
import { produceMethods } from "./log-produce.ts";
import type { LogServiceOptions } from "./log-service-options.ts";

/** Creates the handlers of all methods. */
export function logService(options: LogServiceOptions): ServiceImpl<typeof Log> {
  const { cluster, logs } = options;
  return {
    ...produceMethods(options),
    ...consumeMethods(options),

    getServers: async () => {
      await cluster.fresh?.();
      return { servers: serversOf(cluster) };
    },

    async describe(request, context) {
      const call = callOf(context);
      const signal = signalOf(call, context.signal);
      const { log, logId } = await logs.openFor(call, request, freshnessOfCall(call, signal));
      const mayName = (name: string): boolean => logs.mayDescribe(call, name);
      const found = await describe(log, cluster, options.clusterVersion, mayName);
      const readers = readersOf(options, { log: request.log, logId }, found);
      return { ...found, ...readers, ...(logId === undefined ? {} : { logId }) };
    },

    async trim(request, context) {
      const call = callOf(context);
      const before = numberOf(request.beforeOffset, "before_offset");
      const forward = context.requestHeader.get(forwardHeader) !== "no";
      const log = logs.refFor(call, request);
      const signal = signalOf(call, context.signal);
      const work = options.log.trim(before, appendOptionsOf(call, { log }, forward));
      const lowestOffset = BigInt(await unlessAborted(work, signal, "unknown"));
      const logId = await logs.idOf(log);
      return logId === undefined ? { lowestOffset } : { lowestOffset, logId };
    },

    watch(request, context: HandlerContext) {
      return watch(options, request, signalOf(callOf(context), context.signal));
    },
  };
}

function serversOf(cluster: ClusterView) {
  return cluster.nodes().map((node) => ({
    id: node.id,
    rpcAddr: node.rpcAddr,
    isLeader: node.isLeader,
    term: BigInt(node.term),
    role: node.role,
    lastOffset: BigInt(node.lastOffset),
    lag: BigInt(node.lag),
    healthy: node.healthy,
    lastContactMs: BigInt(Math.max(0, Math.round(node.lastContactMs))),
  }));
}
