/** LogInfo as a message, and what a caller may see of it. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { LogInfoSchema } from "../../../gen/log/v1/log_pb.js";
import { assert } from "../../../lib/assert.ts";
import type { LogInfo } from "../../../types.ts";
import type { Call } from "../../calls/call-tracker.ts";
import type { LogDirectory } from "./log-directory.ts";
import { logIdText } from "./log-id.ts";
import { settingsMessage } from "./log-settings.ts";

export function requiredLog(log: LogInfo | undefined): LogInfo {
  assert(log !== undefined, "only a delete leaves no log");
  return log;
}

const identityOf = ({ name, life, id, settings }: LogInfo) => ({
  name,
  logId: logIdText(life, id),
  settings: settingsMessage(settings),
});

export function messageOf(info: LogInfo): MessageInitShape<typeof LogInfoSchema> {
  return {
    ...identityOf(info),
    lowestOffset: BigInt(info.lowest),
    nextOffset: BigInt(info.next),
    bytes: BigInt(info.bytes),
    createdMs: BigInt(info.createdMs),
    lastTimestampMs: BigInt(info.lastMs),
    closed: info.closed,
    version: BigInt(info.version),
    owner: info.owner ?? "",
  };
}

/** A caller who may change a log, but not describe it, learns its name, id and settings. */
export function shownTo(
  logs: LogDirectory,
  call: Call,
  info: LogInfo,
): MessageInitShape<typeof LogInfoSchema> {
  return logs.mayDescribe(call, info.name) ? messageOf(info) : identityOf(info);
}
