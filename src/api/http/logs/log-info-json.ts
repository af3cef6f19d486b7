/**
 * Logs and their settings as JSON objects, with the names of the messages LogInfo and LogSettings.
 *
 *   settings := {"retention_bytes": N?, "retention_age_ms": N?, "max_bytes": N?, "ttl_ms": N?, "expires_at_ms": N?,
 *                "record_bytes_max": N?, "content_type": text?}                         in a change, null removes one
 *   change   := settings | {"closed": true}
 */

import { Fault } from "../../../fault.ts";
import type { SpaceUse } from "../../../lib/disk/space-use.ts";
import { settingFields, settingKeys, settingOfField } from "../../../lib/named-log-settings.ts";
import type { LogDescription, LogInfo, NamedLogSettings, SettingsChange } from "../../../types.ts";
import { logIdText } from "../../methods/logs/log-id.ts";
import { checkedType } from "../../methods/logs/log-settings.ts";
import { quoted } from "../exchange/exchange.ts";
import { parseBody } from "../produce-consume-json.ts";

/** Largest body of settings, in bytes. */
export const settingsBytesMax = 64 * 1024;

const known = Object.values(settingFields).join(", ");

const reject = (message: string, field: string): never => {
  throw new Fault("bad-request", { message, facts: { field } });
};

/** Parses the settings of a new log. An empty body states none. @throws Fault "bad-request" */
export function settingsOf(body: Uint8Array): NamedLogSettings {
  if (body.length === 0) return {};
  const stated = Object.entries(settingsIn(parseBody(body).tree)).filter(([, value]) => value !== null);
  return Object.fromEntries(stated) as NamedLogSettings;
}

/** What a change asks for. */
export type AskedChange =
  | { readonly kind: "close" }
  | { readonly kind: "update"; readonly settings: SettingsChange };

/** Parses a change of a log. @throws Fault "bad-request" */
export function logChangeOf(body: Uint8Array): AskedChange {
  if (body.length === 0)
    throw new Fault("bad-request", {
      message: `the body is empty, expected settings (${known}) or {"closed":true}`,
    });
  const { tree } = parseBody(body);
  if (!Object.hasOwn(tree, "closed")) return { kind: "update", settings: settingsIn(tree) };
  if (tree["closed"] !== true)
    return reject("closed can only become true: a closed log is not opened again", "closed");
  if (Object.keys(tree).length > 1)
    return reject(
      "closed is not combined with settings: send them before, in a request of their own",
      "closed",
    );
  return { kind: "close" };
}

function settingsIn(tree: Readonly<Record<string, unknown>>): SettingsChange {
  const change: { -readonly [Key in keyof SettingsChange]: SettingsChange[Key] } = {};
  for (const [name, value] of Object.entries(tree)) {
    const key = settingOfField(name);
    if (key === undefined) return rejectUnknown(name);
    if (value === null) change[key] = null;
    else if (key !== "contentType") change[key] = sizeOf(name, value);
    else
      change.contentType = checkedType(
        typeof value === "string" ? value : (JSON.stringify(value) ?? ""),
        name,
      );
  }
  return change;
}

function rejectUnknown(name: string): never {
  const more = name === "settings" ? "; they are stated at the top of the body" : "";
  return reject(`there is no setting "${quoted(name)}", only ${known}${more}`, "settings");
}

function sizeOf(name: string, value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value > 0) return value;
  const found = quoted((JSON.stringify(value) ?? "").slice(0, 64));
  return reject(`${name} must be a whole number from 1 to 2^53 - 1, not ${found}`, name);
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

/** The log `default` has no row. `mayName`: the caller may know this log. */
export const defaultDescriptionOf = (
  { lowest, next, defaultBytes: bytes, space }: LogDescription,
  mayName: (log: string) => boolean,
): object => ({
  name: "default",
  settings: {},
  lowest_offset: lowest,
  next_offset: next,
  bytes,
  ...(space === undefined ? {} : { space: spaceJson(space, mayName) }),
});

/** The message SpaceUse. */
const spaceJson = (space: SpaceUse, mayName: (log: string) => boolean): object => ({
  bytes: space.bytes,
  removed_bytes: space.removedBytes,
  deleted_bytes: space.deletedBytes,
  reclaimable_bytes: space.reclaimableBytes,
  removed: space.removed.filter(({ name }) => mayName(name)),
  keeping: space.keeping.filter(({ name }) => mayName(name)),
  age_ms: space.ageMs,
});
