/**
 * The settings of a log as text fields: parsed for a request, and formatted for a form. Sizes are written as a number of
 * bytes or with a binary unit (64 MiB). An empty field is the cluster's value.
 */
import type { LogSettingsSeen } from "./log-rows.ts";

export interface SettingsDraft {
  readonly maxBytes: string;
  readonly recordBytesMax: string;
  readonly contentType: string;
}

export const emptySettings: SettingsDraft = { maxBytes: "", recordBytesMax: "", contentType: "" };

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

export function draftOf(settings: LogSettingsSeen): SettingsDraft {
  return {
    maxBytes: bytesText(settings.maxBytes),
    recordBytesMax: bytesText(settings.recordBytesMax),
    contentType: settings.contentType ?? "",
  };
}

export function checkSettings(draft: SettingsDraft): CheckedSettings {
  for (const field of ["maxBytes", "recordBytesMax"] as const) {
    if (draft[field].trim() !== "" && parseBytes(draft[field]) === undefined) {
      return { ok: false, field, why: "a number of bytes, or a size like 64 MiB" };
    }
  }
  const contentType = draft.contentType.trim();
  return {
    ok: true,
    settings: {
      maxBytes: parseBytes(draft.maxBytes),
      recordBytesMax: parseBytes(draft.recordBytesMax),
      contentType: contentType === "" ? undefined : contentType,
    },
  };
}

const paths: Readonly<Record<SettingsField, string>> = {
  maxBytes: "max_bytes",
  recordBytesMax: "record_bytes_max",
  contentType: "content_type",
};

/** The update mask of a change: only what differs, so that a change by another client to the rest stays. */
export function changedPaths(before: LogSettingsSeen, after: LogSettingsSeen): string[] {
  return (Object.keys(paths) as SettingsField[])
    .filter((field) => before[field] !== after[field])
    .map((field) => paths[field]);
}
