/** The settings of a named log as flags, and the settings of a message as text. Pure. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { parseRfc3339 } from "../api/http/rfc3339.ts";
import type { LogInfo, LogSettingsSchema } from "../gen/log/v1/log_pb.js";
import { bytes, duration, parseDuration } from "../lib/value-kind.ts";
import { argumentFault } from "./exit-status.ts";
import { timeText } from "./output/table.ts";

type SettingsInit = MessageInitShape<typeof LogSettingsSchema>;

interface NumberSetting {
  /** The flag without its dashes. */
  readonly flag: string;
  readonly field: string;
  readonly key: "retentionBytes" | "retentionAgeMs" | "maxBytes" | "ttlMs" | "expiresAtMs" | "recordBytesMax";
  readonly value: "size" | "duration" | "time";
  readonly help: string;
}

const numbers: readonly NumberSetting[] = [
  {
    flag: "retention-bytes",
    field: "retention_bytes",
    key: "retentionBytes",
    value: "size",
    help: "delete the oldest records beyond this size, such as 1GiB",
  },
  {
    flag: "retention-age",
    field: "retention_age_ms",
    key: "retentionAgeMs",
    value: "duration",
    help: "delete records that are older, such as 7d",
  },
  {
    flag: "max-bytes",
    field: "max_bytes",
    key: "maxBytes",
    value: "size",
    help: "refuse appends after which the log would be larger, such as 10GiB",
  },
  {
    flag: "ttl",
    field: "ttl_ms",
    key: "ttlMs",
    value: "duration",
    help: "delete the log so long after its last append, such as 24h",
  },
  {
    flag: "expires-at",
    field: "expires_at_ms",
    key: "expiresAtMs",
    value: "time",
    help: "delete the log at this time, such as 2030-01-01T00:00:00Z",
  },
  {
    flag: "record-bytes-max",
    field: "record_bytes_max",
    key: "recordBytesMax",
    value: "size",
    help: "refuse larger records, such as 64KiB",
  },
];
const contentType = { flag: "content-type", field: "content_type" } as const;

/** The flags of settings, without dashes. */
export const settingNames: readonly string[] = [...numbers.map(({ flag }) => flag), contentType.flag];

/** The values of the flags, by the names that the command line parser gives them. */
export type SettingFlags = Readonly<Record<string, unknown>>;

export function settingOptions(command: Command): Command {
  for (const { flag, value, help } of numbers) command.option(`--${flag} <${value}>`, help);
  return command.option(
    `--${contentType.flag} <type>`,
    "the media type of the records, such as application/json",
  );
}

/** The field of the message for a flag of settingNames. */
export const fieldOf = (name: string): string =>
  name === contentType.flag ? contentType.field : numbers.find(({ flag }) => flag === name)!.field;

/** The text of a flag, if it was given. */
export function textOf(flags: SettingFlags, name: string): string | undefined {
  const found = flags[name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())];
  return typeof found === "string" ? found : undefined;
}

/** @throws Fault "config" for a value that is not valid */
export function settingsOf(flags: SettingFlags): SettingsInit {
  const init: { -readonly [K in NumberSetting["key"]]?: bigint } = {};
  for (const { flag, key, value } of numbers) {
    const text = textOf(flags, flag);
    if (text !== undefined) init[key] = parsed(flag, value, text);
  }
  const type = textOf(flags, contentType.flag);
  return { ...init, ...(type === undefined ? {} : { contentType: type }) };
}

export function settingsText({ settings }: LogInfo): string {
  const texts = numbers.flatMap(({ flag, key, value }) => {
    const found = settings?.[key];
    return found === undefined ? [] : [`${flag}=${printed(value, Number(found))}`];
  });
  if (settings?.contentType !== undefined) texts.push(`${contentType.flag}=${settings.contentType}`);
  return texts.length === 0 ? "-" : texts.join(" ");
}

const sizeKind = bytes(1);
const durationKind = duration(1, Number.MAX_SAFE_INTEGER);
const examples = {
  size: "a size such as 64MiB",
  duration: "a time such as 24h",
  time: "a time such as 2030-01-01T00:00:00Z",
};

function parsed(flag: string, value: NumberSetting["value"], text: string): bigint {
  const found = numberIn(value, text);
  if (Number.isSafeInteger(found) && found > 0) return BigInt(found);
  throw argumentFault(`--${flag} must be ${examples[value]}`, text);
}

/** NaN for a text that is no such value. */
function numberIn(value: NumberSetting["value"], text: string): number {
  if (value === "time") return parseRfc3339(text) ?? Number.NaN;
  try {
    return value === "size" ? Number(sizeKind.parse(text)) : (parseDuration(text) ?? Number.NaN);
  } catch {
    return Number.NaN;
  }
}

function printed(value: NumberSetting["value"], found: number): string {
  if (value === "size") return sizeKind.print(found);
  return value === "duration" ? durationKind.print(found) : timeText(found);
}
