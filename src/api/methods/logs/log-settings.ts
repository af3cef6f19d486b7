/** The settings of a log in requests: what is stated, and what an update changes. Pure. */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { Fault } from "../../../fault.ts";
import type { LogSettings, LogSettingsSchema, UpdateLogRequest } from "../../../gen/log/v1/log_pb.js";
import {
  type NumberSetting,
  numberSettings,
  settingFields,
  settingKeys,
  settingOfField,
} from "../../../lib/named-log-settings.ts";
import type { NamedLogSettings, SettingsChange } from "../../../types.ts";
import { numberOf } from "../messages.ts";
import { mediaTypeCharsMax, mediaTypeOf } from "./media-type.ts";

type Setting = keyof NamedLogSettings;
type Settings = { -readonly [K in Setting]?: NamedLogSettings[K] };

/**
 * Returns the settings that are set in a message.
 * @throws Fault "bad-request"
 */
export function settingsOf(message: LogSettings | undefined): NamedLogSettings {
  const stated: Settings = {};
  for (const setting of numberSettings) {
    const value = message?.[setting];
    if (value !== undefined) stated[setting] = sizeOf(value, `settings.${settingFields[setting]}`);
  }
  if (message?.contentType !== undefined) stated.contentType = checkedType(message.contentType);
  return stated;
}

/**
 * Returns what an update changes: the settings of its mask, or without a mask those that are set.
 * @throws Fault "bad-request" for a path that is no setting, and for a setting that is set and not in the mask
 */
export function changeOf({
  settings,
  updateMask,
}: Pick<UpdateLogRequest, "settings" | "updateMask">): SettingsChange {
  const stated: Settings = settingsOf(settings);
  const paths = updateMask?.paths ?? [];
  if (paths.length === 0) return stated;
  const change: Partial<Record<Setting, string | number | null>> = {};
  for (const path of paths) {
    const setting = settingOfField(path);
    if (setting === undefined)
      throw badMask(`names "${path}", expected ${Object.values(settingFields).join(", ")}`);
    change[setting] = stated[setting] ?? null;
  }
  for (const setting of settingKeys) {
    if (stated[setting] !== undefined && !(setting in change))
      throw badMask(`does not name ${settingFields[setting]}, which is set`);
  }
  return change as SettingsChange;
}

const badMask = (what: string): Fault =>
  new Fault("bad-request", { message: `update_mask ${what}`, facts: { field: "update_mask" } });

function sizeOf(value: bigint, field: string): number {
  const size = numberOf(value, field);
  if (size > 0) return size;
  throw new Fault("bad-request", { message: `${field} is 0, the smallest is 1`, facts: { field } });
}

/** Returns a media type: responses of HTTP have it as a header. @throws Fault "bad-request" */
export function checkedType(text: string, field = "settings.content_type"): string {
  if (mediaTypeOf(text) !== undefined) return text;
  throw new Fault("bad-request", {
    message: `${field} must be a media type such as application/json, with at most ${mediaTypeCharsMax} characters, not "${text.slice(0, 100)}"`,
    facts: { field },
  });
}

/** The settings as a message. */
export function settingsMessage(settings: NamedLogSettings): MessageInitShape<typeof LogSettingsSchema> {
  const message: { -readonly [K in NumberSetting]?: bigint } = {};
  for (const setting of numberSettings) {
    const value = settings[setting];
    if (value !== undefined) message[setting] = BigInt(value);
  }
  return { ...message, ...(settings.contentType === undefined ? {} : { contentType: settings.contentType }) };
}
