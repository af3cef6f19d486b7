/** The settings of a named log, for all that reads and writes them one by one: commands, messages, options, JSON. */
import type { NamedLogSettings } from "../types.ts";

type Setting = keyof NamedLogSettings;

/** Setting → its field in the messages, and in JSON. */
export const settingFields = {
  retentionBytes: "retention_bytes",
  retentionAgeMs: "retention_age_ms",
  maxBytes: "max_bytes",
  ttlMs: "ttl_ms",
  expiresAtMs: "expires_at_ms",
  recordBytesMax: "record_bytes_max",
  contentType: "content_type",
} as const satisfies Record<Setting, string>;

/** The settings that are numbers. */
export const numberSettings = [
  "retentionBytes",
  "retentionAgeMs",
  "maxBytes",
  "ttlMs",
  "expiresAtMs",
  "recordBytesMax",
] as const satisfies readonly Setting[];
export type NumberSetting = (typeof numberSettings)[number];

export const settingKeys = Object.keys(settingFields) as readonly Setting[];
const settingsByField = new Map<string, Setting>(settingKeys.map((key) => [settingFields[key], key]));

export const settingOfField = (field: string): Setting | undefined => settingsByField.get(field);
