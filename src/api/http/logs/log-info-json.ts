/**
 * Logs and their settings as JSON objects, with the names of the messages LogInfo and LogSettings.
 *
 *   settings := {"retention_bytes": N?, "retention_age_ms": N?, "max_bytes": N?, "ttl_ms": N?, "expires_at_ms": N?,
 *                "record_bytes_max": N?, "content_type": text?}                         in a change, null removes one
 */

import { Fault } from "../../../fault.ts";
import { settingFields, settingKeys, settingOfField } from "../../../lib/named-log-settings.ts";
import type { LogDescription, LogInfo, NamedLogSettings, SettingsChange } from "../../../types.ts";
import { logIdText } from "../../methods/logs/log-id.ts";
import { checkedType } from "../../methods/logs/log-settings.ts";
import { quoted } from "../exchange/exchange.ts";
import { parseBody } from "../produce-consume-json.ts";

/** Largest body of settings, in bytes. */
export const settingsBytesMax = 64 * 1024;

const reject = (message: string, field: string): never => {
  throw new Fault("bad-request", { message, facts: { field } });
};

/** Parses the settings of a new log. An empty body states none. @throws Fault "bad-request" */
export function settingsOf(body: Uint8Array): NamedLogSettings {
  const stated = Object.entries(settingsChangeOf(body)).filter(([, value]) => value !== null);
  return Object.fromEntries(stated) as NamedLogSettings;
}

/** Parses a change of settings. @throws Fault "bad-request" */
export function settingsChangeOf(body: Uint8Array): SettingsChange {
  if (body.length === 0) return {};
  const { tree } = parseBody(body);
  const change: { -readonly [Key in keyof SettingsChange]: SettingsChange[Key] } = {};
  for (const [name, value] of Object.entries(tree)) {
    const key = settingOfField(name);
    if (key === undefined) {
      const known = Object.values(settingFields).join(", ");
      return reject(`there is no setting "${quoted(name)}", only ${known}`, "settings");
    }
    if (value === null) change[key] = null;
    else if (key !== "contentType") change[key] = sizeOf(name, value);
    else change.contentType = checkedType(typeof value === "string" ? value : "", name);
  }
  return change;
}

function sizeOf(name: string, value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value > 0) return value;
  return reject(`${name} must be a whole number from 1 on`, name);
}

/** What a caller who may not describe the log learns of it: its name, id and settings. */
export function identityOf(info: LogInfo): object {
  const settings = settingKeys.flatMap((key) => {
    const value = info.settings[key];
    return value === undefined ? [] : [[settingFields[key], value] as const];
  });
  return { name: info.name, log_id: logIdText(info.life, info.id), settings: Object.fromEntries(settings) };
}

export function descriptionOf(info: LogInfo): object {
  return {
    ...identityOf(info),
    lowest_offset: info.lowest,
    next_offset: info.next,
    bytes: info.bytes,
    created_ms: info.createdMs,
    last_timestamp_ms: info.lastMs,
    closed: info.closed,
    version: info.version,
    ...(info.owner === undefined ? {} : { owner: info.owner }),
  };
}

/** The log `default` has no row. */
export const defaultDescriptionOf = ({ lowest, next, bytes }: LogDescription): object => ({
  name: "default",
  settings: {},
  lowest_offset: lowest,
  next_offset: next,
  bytes,
});
