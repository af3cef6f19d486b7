/** LogInfo as a message, and what a caller may see of it. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Fault } from "../../../fault.ts";
import type { LogInfoSchema } from "../../../gen/log/v1/log_pb.js";
import type { LogInfo } from "../../../types.ts";
import type { Call } from "../../calls/call-tracker.ts";
import type { LogDirectory } from "./log-directory.ts";
import { logIdText } from "./log-id.ts";
import { settingsMessage } from "./log-settings.ts";

/** @throws Fault "unknown" if the leader's answer to a change has no log, which only a delete may have */
export function requiredLog(log: LogInfo | undefined): LogInfo {
  if (log !== undefined) return log;
  throw new Fault("unknown", { message: "the answer of the leader has no log: it may have been changed" });
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
