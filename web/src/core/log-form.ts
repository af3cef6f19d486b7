/**
 * The settings of a log as text fields: parsed for a request, and formatted for a form. Sizes are written as a number of
 * bytes or with a binary unit (64 MiB), durations and times as in the flags of the command line (7d, 1h30m, 2030-01-31). An empty
 * field is the cluster's value.
 */
import { parseTime } from "../../../src/lib/time/rfc3339.ts";
import { duration, parseDuration } from "../../../src/lib/value-kind.ts";
import type { LogSettingsSeen } from "./log-rows.ts";

export interface SettingsDraft {
  readonly retentionBytes: string;
  readonly retentionAgeMs: string;
  readonly maxBytes: string;
  readonly recordBytesMax: string;
  readonly ttlMs: string;
  readonly expiresAtMs: string;
  readonly contentType: string;
}

export const emptySettings: SettingsDraft = {
  retentionBytes: "",
  retentionAgeMs: "",
  maxBytes: "",
  recordBytesMax: "",
  ttlMs: "",
  expiresAtMs: "",
  contentType: "",
};

export type SettingsField = keyof SettingsDraft;

export type CheckedSettings =
  | { readonly ok: true; readonly settings: LogSettingsSeen }
  | { readonly ok: false; readonly field: SettingsField; readonly why: string };

const units = ["b", "kib", "mib", "gib", "tib"];

/** Parses "1048576", "1,048,576", "64 MiB" or "1.5GiB". Undefined for other text and for fractions of a byte. */
export function parseBytes(text: string): number | undefined {
  const [, digits, unit = "b"] =
    /^(\d+(?:\.\d+)?)([a-z]+)?$/.exec(text.toLowerCase().replace(/[\s,_]/g, "")) ?? [];
  const power = units.indexOf(unit);
  if (digits === undefined || power < 0) return undefined;
  const bytes = Number(digits) * 1024 ** power;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest text that parseBytes reads as the same number. */
export function bytesText(bytes: number | undefined): string {
  if (bytes === undefined) return "";
  for (const [power, unit] of [
    [4, "TiB"],
    [3, "GiB"],
    [2, "MiB"],
    [1, "KiB"],
  ] as const) {
    if (bytes > 0 && bytes % 1024 ** power === 0) return `${bytes / 1024 ** power} ${unit}`;
  }
  return String(bytes);
}

const dayMs = 86_400_000;
/** The last time of Date. */
const dateMsMax = 8.64e15;
const durations = duration(1, Number.MAX_SAFE_INTEGER);

/** Parses "7d", "1h30m" or "90 s" to milliseconds. Undefined for other text, and for 0. */
export function parseSpan(text: string): number | undefined {
  const found = parseDuration(text.replace(/\s/g, ""));
  return found === undefined || found === 0 || !Number.isSafeInteger(found) ? undefined : found;
}

/** The text of milliseconds with one unit, which parseSpan reads as the same number. */
export function spanText(ms: number | undefined): string {
  if (ms === undefined) return "";
  return ms % dayMs === 0 ? `${ms / dayMs}d` : durations.print(ms);
}

/** Parses a date, which is its midnight in UTC, a time of RFC 3339, or "@" and milliseconds. Undefined for other text. */
export function parseMoment(text: string): number | undefined {
  const word = text.trim();
  const found = /^@\d{1,16}$/.test(word) ? Number(word.slice(1)) : parseTime(word);
  return found === undefined || found <= 0 || !Number.isSafeInteger(found) ? undefined : found;
}

/** The text of a time in UTC, which parseMoment reads as the same number. */
export function momentText(atMs: number | undefined): string {
  if (atMs === undefined) return "";
  const text = Math.abs(atMs) <= dateMsMax ? new Date(atMs).toISOString() : "";
  if (!/^\d{4}-/.test(text)) return `@${atMs}`;
  return text.replace(".000Z", "Z").replace("T00:00:00Z", "");
}

export function draftOf(settings: LogSettingsSeen): SettingsDraft {
  return {
    retentionBytes: bytesText(settings.retentionBytes),
    retentionAgeMs: spanText(settings.retentionAgeMs),
    maxBytes: bytesText(settings.maxBytes),
    recordBytesMax: bytesText(settings.recordBytesMax),
    ttlMs: spanText(settings.ttlMs),
    expiresAtMs: momentText(settings.expiresAtMs),
    contentType: settings.contentType ?? "",
  };
}

const aSize = [parseBytes, "a number of bytes, or a size like 64 MiB"] as const;
const aSpan = [parseSpan, "a duration like 7d or 12h"] as const;
const parsers: Partial<Record<SettingsField, readonly [(text: string) => number | undefined, why: string]>> =
  {
    retentionBytes: aSize,
    retentionAgeMs: aSpan,
    maxBytes: aSize,
    recordBytesMax: aSize,
    ttlMs: aSpan,
    expiresAtMs: [parseMoment, "a date like 2030-01-31, or a time like 2030-01-31T12:00:00Z"],
  };
const fieldsInOrder = Object.keys(emptySettings) as readonly SettingsField[];

export function checkSettings(draft: SettingsDraft): CheckedSettings {
  for (const field of fieldsInOrder) {
    const [parse, why] = parsers[field] ?? [];
    if (
      parse !== undefined &&
      why !== undefined &&
      draft[field].trim() !== "" &&
      parse(draft[field]) === undefined
    )
      return { ok: false, field, why };
  }
  const contentType = draft.contentType.trim();
  return {
    ok: true,
    settings: {
      retentionBytes: parseBytes(draft.retentionBytes),
      retentionAgeMs: parseSpan(draft.retentionAgeMs),
      maxBytes: parseBytes(draft.maxBytes),
      recordBytesMax: parseBytes(draft.recordBytesMax),
      ttlMs: parseSpan(draft.ttlMs),
      expiresAtMs: parseMoment(draft.expiresAtMs),
      contentType: contentType === "" ? undefined : contentType,
    },
  };
}

const paths: Readonly<Record<SettingsField, string>> = {
  retentionBytes: "retention_bytes",
  retentionAgeMs: "retention_age_ms",
  maxBytes: "max_bytes",
  recordBytesMax: "record_bytes_max",
  ttlMs: "ttl_ms",
  expiresAtMs: "expires_at_ms",
  contentType: "content_type",
};

/** The update mask of a change: only what differs, so that a change by another client to the rest stays. */
export function changedPaths(before: LogSettingsSeen, after: LogSettingsSeen): string[] {
  return fieldsInOrder.filter((field) => before[field] !== after[field]).map((field) => paths[field]);
}
