/** The options and the description of a named log, and their messages. */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { Fault } from "../../fault.ts";
import type { LogInfo, LogSettingsSchema, UpdateLogRequestSchema } from "../../gen/log/v1/log_pb.js";
import {
  type NumberSetting,
  numberSettings,
  settingFields,
  settingKeys,
} from "../../lib/named-log-settings.ts";
import type { Bounds } from "../../types.ts";
import { numberOf, uint64Of } from "../messages.ts";

/** Options of a named log. An absent one has the value of the cluster. */
export interface LogOptions {
  /** The oldest records beyond this many bytes are deleted. Default: none. */
  readonly retentionBytes?: number | undefined;
  /** Records that are older are deleted, in milliseconds. Default: none. */
  readonly retentionAgeMs?: number | undefined;
  /** Appends after which the log would hold more bytes are refused. Default: no limit. */
  readonly maxBytes?: number | undefined;
  /**
   * The log is deleted this long after its last append or its creation, in milliseconds; an update does not begin it again.
   * Default: never.
   */
  readonly ttlMs?: number | undefined;
  /** The log is deleted at this time, in milliseconds since 1970. Default: never. */
  readonly expiresAtMs?: number | undefined;
  /** Larger records are refused, in bytes. Default: the limit of the cluster. */
  readonly recordBytesMax?: number | undefined;
  /** The media type of the records, such as "application/json". Default: none. */
  readonly contentType?: string | undefined;
}

/** A change of options: null gives one the value of the cluster again. */
export type LogOptionsChange = { readonly [Name in keyof LogOptions]?: LogOptions[Name] | null };

/** A named log, as its cluster describes it. */
export interface NamedLogInfo extends Bounds {
  readonly name: string;
  /** Means this log only: a log that gets the same name later has another one. Empty for `default`. */
  readonly id: string;
  readonly options: LogOptions;
  /** The subject that created it, whose quotas count it. Empty if no caller did, and for `default`. */
  readonly owner: string;
  readonly bytes: number;
  /** In milliseconds since 1970. */
  readonly createdMs: number;
  /** When the last record was appended, in milliseconds since 1970; 0 if there never was one. */
  readonly lastTimestampMs: number;
  /** The log takes no more records. */
  readonly closed: boolean;
  /** Grows with every change of the log, appends included. */
  readonly version: number;
}

type SettingsInit = MessageInitShape<typeof LogSettingsSchema>;

const isOption = (name: string): name is keyof LogOptions => Object.hasOwn(settingFields, name);

/** @throws Fault "bad-request" for an unknown option, or a value that is not valid */
export function settingsInit(options: LogOptionsChange): SettingsInit {
  for (const name of Object.keys(options)) {
    if (isOption(name)) continue;
    throw new Fault("bad-request", {
      message: `a log has no option "${name}", only ${settingKeys.join(", ")}`,
      facts: { field: name },
    });
  }
  const init: { -readonly [K in NumberSetting]?: bigint } = {};
  for (const name of numberSettings) {
    const value = options[name];
    if (!isAbsent(value)) init[name] = uint64Of(name, value);
  }
  const { contentType } = options;
  return { ...init, ...(isAbsent(contentType) ? {} : { contentType: textOf("contentType", contentType) }) };
}

/** The mask names every option of the change. @throws as settingsInit(); Fault "bad-request" for an empty change */
export function updateInit(
  change: LogOptionsChange,
): Pick<MessageInitShape<typeof UpdateLogRequestSchema>, "settings" | "updateMask"> {
  const settings = settingsInit(change);
  const paths = Object.keys(change)
    .filter(isOption)
    .filter((name) => change[name] !== undefined)
    .map((name) => settingFields[name]);
  if (paths.length === 0) throw new Fault("bad-request", { message: "the change names no option" });
  return { settings, updateMask: { paths } };
}

export function namedLogInfoOf(log: LogInfo): NamedLogInfo {
  const options: { -readonly [K in keyof LogOptions]: LogOptions[K] } = {};
  for (const name of numberSettings) {
    const value = log.settings?.[name];
    if (value !== undefined) options[name] = numberOf(value);
  }
  if (log.settings?.contentType !== undefined) options.contentType = log.settings.contentType;
  return {
    name: log.name,
    id: log.logId,
    options,
    owner: log.owner,
    lowest: numberOf(log.lowestOffset),
    next: numberOf(log.nextOffset),
    bytes: numberOf(log.bytes),
    createdMs: numberOf(log.createdMs),
    lastTimestampMs: numberOf(log.lastTimestampMs),
    closed: log.closed,
    version: numberOf(log.version),
  };
}

const isAbsent = (value: unknown): value is null | undefined => value === undefined || value === null;

function textOf(field: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw new Fault("bad-request", {
    message: `${field} must be a text, not ${String(value)}`,
    facts: { field },
  });
}
