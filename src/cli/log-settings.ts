/** The settings of a named log as flags, and the settings of a message as text. Pure. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Command } from "commander";
import {
  parseSetting,
  printSetting,
  type TextSetting,
  textSettings,
} from "../api/methods/logs/setting-texts.ts";
import { Fault } from "../fault.ts";
import type { LogInfo, LogSettingsSchema } from "../gen/log/v1/log_pb.js";
import { usageFault } from "./exit-status.ts";

type SettingsInit = MessageInitShape<typeof LogSettingsSchema>;

const helps: Readonly<Record<string, string>> = {
  "retention-bytes": "delete the oldest records beyond this size, such as 1GiB",
  "retention-age": "delete records that are older, such as 7d",
  "max-bytes": "refuse appends after which the log would be larger, such as 10GiB",
  ttl: "delete the log so long after its last append, such as 24h; a change does not begin it again",
  "expires-at": "delete the log at this time, such as 2030-01-01T00:00:00Z",
  "record-bytes-max": "refuse larger records, such as 64KiB",
  "content-type": "the media type of the records, such as application/json",
};

/** The flags of settings, without dashes. */
export const settingNames: readonly string[] = textSettings.map(({ name }) => name);

/** The values of the flags, by the names that the command line parser gives them. */
export type SettingFlags = Readonly<Record<string, unknown>>;

export function settingOptions(command: Command): Command {
  for (const { name, kind } of textSettings)
    command.option(`--${name} <${kind === "text" ? "type" : kind}>`, helps[name] ?? "");
  return command;
}

/** The field of the message for a flag of settingNames. */
export const fieldOf = (name: string): string => textSettings.find((one) => one.name === name)!.field;

/** The text of a flag, if it was given. */
export function textOf(flags: SettingFlags, name: string): string | undefined {
  const found = flags[name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())];
  return typeof found === "string" ? found : undefined;
}

/** @throws Fault "config" for a value that is not valid */
export function settingsOf(flags: SettingFlags): SettingsInit {
  const init: Partial<Record<TextSetting["key"], bigint | string>> = {};
  for (const setting of textSettings) {
    const text = textOf(flags, setting.name);
    if (text === undefined) continue;
    const value = parsedValue(setting, text);
    init[setting.key] = typeof value === "number" ? BigInt(value) : value;
  }
  return init as SettingsInit;
}

export function settingsText({ settings }: LogInfo): string {
  const texts = textSettings.flatMap((setting) => {
    const found = settings?.[setting.key];
    if (found === undefined) return [];
    return [`${setting.name}=${printSetting(setting, typeof found === "bigint" ? Number(found) : found)}`];
  });
  return texts.length === 0 ? "-" : texts.join(" ");
}

function parsedValue(setting: TextSetting, text: string): number | string {
  try {
    return parseSetting(setting, text);
  } catch (reason) {
    throw usageFault(`--${Fault.from(reason).message}`);
  }
}
