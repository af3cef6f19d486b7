/**
 * The RPCs of log.v1.Logs: create, describe, change and delete named logs. The permission is checked before a log is looked
 * up (LogDirectory).
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { Fault } from "../../../fault.ts";
import type { LogInfoSchema, Logs, UpdateLogRequest } from "../../../gen/log/v1/log_pb.js";
import { assert } from "../../../lib/assert.ts";
import type { Clock } from "../../../lib/time/clock.ts";
import { workTurns } from "../../../lib/time/work-turns.ts";
import type {
  ChangedLog,
  CommitLog,
  Freshness,
  LogChange,
  LogInfo,
  LogRef,
  NamedLogSettings,
} from "../../../types.ts";
import { faultOfAbort, signalOf, unlessAborted } from "../../calls/abort.ts";
import { callOf } from "../../calls/call-context.ts";
import type { Call } from "../../calls/call-tracker.ts";
import { forwardHeader } from "../../calls/request-headers.ts";
import { appendOptionsOf } from "../append.ts";
import type { LogDirectory } from "./log-directory.ts";
import { logIdText } from "./log-id.ts";
import { defaultLog } from "./log-name.ts";
import { changeOf, settingsMessage, settingsOf } from "./log-settings.ts";

export interface LogsServiceOptions {
  readonly clock: Clock;
  readonly log: CommitLog;
  readonly logs: LogDirectory;
}

/** Logs in one page. */
const pageMax = 256;

/** The freshness of a call that states none. */
export const freshnessOfCall = ({ deadlineMs }: Call, signal: AbortSignal): Freshness =>
  deadlineMs === undefined ? { signal } : { signal, deadlineMs };

export function logsService({ log, logs, clock }: LogsServiceOptions): ServiceImpl<typeof Logs> {
  return {
    async createLog({ name, settings, ifNotExists }, context) {
      const { name: checked } = namedOnly(logs, context, { name });
      const wanted = settingsOf(settings);
      const change: LogChange = { kind: "create", name: checked, settings: wanted };
      try {
        const { log: made, created } = await changed(logs, context, change);
        if (!created && !ifNotExists) throw alreadyExists(checked);
        return { log: shownTo(logs, context, required(made)), created };
      } catch (reason) {
        const known = ifNotExists ? await sameAsStated(logs, context, reason, checked, wanted) : undefined;
        if (known === undefined) throw reason;
        return { log: shownTo(logs, context, known), created: false };
      }
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
      const ref = namedOnly(logs, context, request);
      const change: LogChange = { kind: "update", log: ref, settings: changeOf(request) };
      return { log: shownTo(logs, context, required((await changed(logs, context, change)).log)) };
    },

    async closeLog(request, context) {
      const change: LogChange = { kind: "close", log: namedOnly(logs, context, request) };
      return { log: shownTo(logs, context, required((await changed(logs, context, change)).log)) };
    },

    async deleteLog(request, context) {
      await changed(logs, context, { kind: "delete", log: namedOnly(logs, context, request) });
      return {};
    },
  };
}

function required(log: LogInfo | undefined): LogInfo {
  assert(log !== undefined, "only a delete leaves no log");
  return log;
}

function changed(logs: LogDirectory, context: HandlerContext, change: LogChange): Promise<ChangedLog> {
  const call = callOf(context);
  const forward = context.requestHeader.get(forwardHeader) !== "no";
  const work = logs.named.change(change, appendOptionsOf(call, {}, forward));
  return unlessAborted(work, signalOf(call, context.signal), "unknown");
}

/**
 * Returns the log of a change, after the permission check.
 * @throws Fault "bad-request" for `default`
 */
function namedOnly(
  logs: LogDirectory,
  context: HandlerContext,
  { name, logId }: Pick<UpdateLogRequest, "name" | "logId"> | { name: string; logId?: undefined },
): LogRef {
  const ref = logs.refFor(callOf(context), { log: requiredName(name), logId });
  if (ref !== undefined) return ref;
  throw new Fault("bad-request", {
    message: `the log "${defaultLog}" is always there, its settings are those of the cluster`,
    facts: { field: "name" },
  });
}

/** Here an empty name is a mistake, and not the log `default`. */
function requiredName(name: string): string {
  if (name !== "") return name;
  throw new Fault("bad-request", { message: "the name of the log is missing", facts: { field: "name" } });
}

/** Returns the log that a create found, if every stated setting is so already. */
async function sameAsStated(
  logs: LogDirectory,
  context: HandlerContext,
  reason: unknown,
  name: string,
  stated: NamedLogSettings,
): Promise<LogInfo | undefined> {
  if (!(reason instanceof Fault) || reason.kind !== "already-exists") return undefined;
  const call = callOf(context);
  const freshness = freshnessOfCall(call, signalOf(call, context.signal));
  const known = await logs.named.open({ name }).info({ ...freshness, mode: "linearizable" });
  const keys = Object.keys(stated) as (keyof NamedLogSettings)[];
  return keys.every((key) => known.settings[key] === stated[key]) ? known : undefined;
}

const alreadyExists = (name: string): Fault =>
  new Fault("already-exists", { message: `there is a log "${name}"`, facts: { name } });

const identityOf = ({ name, life, id, settings }: LogInfo) => ({
  name,
  logId: logIdText(life, id),
  settings: settingsMessage(settings),
});

function messageOf(info: LogInfo): MessageInitShape<typeof LogInfoSchema> {
  return {
    ...identityOf(info),
    lowestOffset: BigInt(info.lowest),
    nextOffset: BigInt(info.next),
    bytes: BigInt(info.bytes),
    createdMs: BigInt(info.createdMs),
    lastTimestampMs: BigInt(info.lastMs),
    closed: info.closed,
    version: BigInt(info.version),
  };
}

/** A caller who may change a log, but not describe it, learns its name, id and settings. */
function shownTo(
  logs: LogDirectory,
  context: HandlerContext,
  info: LogInfo,
): MessageInitShape<typeof LogInfoSchema> {
  return logs.mayDescribe(callOf(context), info.name) ? messageOf(info) : identityOf(info);
}

async function defaultInfo(
  log: CommitLog,
  freshness: Freshness,
): Promise<MessageInitShape<typeof LogInfoSchema>> {
  await log.bounds(freshness);
  const { lowest, next, bytes } = await log.describe();
  return {
    name: defaultLog,
    settings: {},
    lowestOffset: BigInt(lowest),
    nextOffset: BigInt(next),
    bytes: BigInt(bytes),
  };
}
