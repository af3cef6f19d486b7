/**
 * The RPCs of log.v1.Logs: create, describe, change and delete named logs. The permission is checked before a log is looked
 * up (LogDirectory).
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { Fault } from "../../../fault.ts";
import type { LogInfoSchema, Logs } from "../../../gen/log/v1/log_pb.js";
import { defaultLog } from "../../../lib/names/log-name.ts";
import { workTurns } from "../../../lib/time/work-turns.ts";
import type { ChangedLog, CommitLog, Freshness, LogChange } from "../../../types.ts";
import { faultOfAbort, signalOf, unlessAborted } from "../../calls/abort.ts";
import { callOf } from "../../calls/call-context.ts";
import { forwardHeader } from "../../calls/request-headers.ts";
import { appendOptionsOf } from "../append.ts";
import { type TailLogsOptions, tailLogs } from "../tails/tail-logs.ts";
import { createLog, freshnessOfCall, namedOnly, requiredName } from "./create-log.ts";
import type { LogDirectory } from "./log-directory.ts";
import { messageOf, requiredLog, shownTo } from "./log-message.ts";
import { changeOf } from "./log-settings.ts";

export interface LogsServiceOptions extends TailLogsOptions {
  readonly log: CommitLog;
}

/** Logs in one page. */
const pageMax = 256;

export function logsService(options: LogsServiceOptions): ServiceImpl<typeof Logs> {
  const { log, logs, clock } = options;
  return {
    tailLogs: tailLogs(options),
    createLog(request, context) {
      const call = callOf(context);
      const signal = signalOf(call, context.signal);
      return createLog(logs, call, request, {
        forward: context.requestHeader.get(forwardHeader) !== "no",
        signal: () => signal,
        change: (work) => unlessAborted(work, signal, "unknown"),
      });
    },

    async getLog({ name, logId }, context) {
      const call = callOf(context);
      const freshness = freshnessOfCall(call, signalOf(call, context.signal));
      const found = await logs.infoFor(call, { log: requiredName(name), logId }, freshness);
      return { log: found === undefined ? await defaultInfo(log, freshness) : messageOf(found) };
    },

    async listLogs({ prefix, after, limit }, context) {
      const call = callOf(context);
      const signal = signalOf(call, context.signal);
      if (limit > pageMax) {
        throw new Fault("bad-request", {
          message: `limit is ${limit}, the largest is ${pageMax}`,
          facts: { field: "limit" },
        });
      }
      const turn = async (): Promise<void> => {
        if (signal.aborted) throw faultOfAbort(signal);
        await workTurns(clock).next();
      };
      const page = await logs.list(call, { prefix, after, limit: limit === 0 ? pageMax : limit }, turn);
      return { logs: page.logs.map(messageOf), next: page.next ?? "" };
    },

    async updateLog(request, context) {
      const ref = namedOnly(logs, callOf(context), request);
      const only = request.validateOnly ? ({ validateOnly: true } as const) : {};
      const change: LogChange = { kind: "update", log: ref, settings: changeOf(request), ...only };
      return { log: shownTo(logs, callOf(context), requiredLog((await changed(logs, context, change)).log)) };
    },

    async closeLog(request, context) {
      const change: LogChange = { kind: "close", log: namedOnly(logs, callOf(context), request) };
      return { log: shownTo(logs, callOf(context), requiredLog((await changed(logs, context, change)).log)) };
    },

    async deleteLog(request, context) {
      await changed(logs, context, { kind: "delete", log: namedOnly(logs, callOf(context), request) });
      return {};
    },
  };
}

function changed(logs: LogDirectory, context: HandlerContext, change: LogChange): Promise<ChangedLog> {
  const call = callOf(context);
  const forward = context.requestHeader.get(forwardHeader) !== "no";
  const work = logs.named.change(change, appendOptionsOf(call, {}, forward));
  return unlessAborted(work, signalOf(call, context.signal), "unknown");
}

async function defaultInfo(
  log: CommitLog,
  freshness: Freshness,
): Promise<MessageInitShape<typeof LogInfoSchema>> {
  await log.bounds(freshness);
  const { lowest, next, defaultBytes: bytes = 0 } = await log.describe();
  return {
    name: defaultLog,
    settings: {},
    lowestOffset: BigInt(lowest),
    nextOffset: BigInt(next),
    bytes: BigInt(bytes),
  };
}
