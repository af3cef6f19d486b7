/**
 * The settings of a log as people write them, in flags and in files: `retention-age` is `7d`. Pure.
 *
 *   size := N | N KiB | …      duration := 90s | 1h30m | 7d | …      time := RFC 3339, or a date      text := the media type
 */

import { Fault } from "../../../fault.ts";
import { settingFields } from "../../../lib/named-log-settings.ts";
import { parseTime } from "../../../lib/time/rfc3339.ts";
import { bytes, duration, parseDuration } from "../../../lib/value-kind.ts";
import type { NamedLogSettings } from "../../../types.ts";
import { checkedType } from "./log-settings.ts";

export interface TextSetting {
  /** As in a flag, without dashes before it. */
  readonly name: string;
  /** In the messages. */
  readonly field: string;
  readonly key: keyof NamedLogSettings;
  readonly kind: "size" | "duration" | "time" | "text";
}

const texts: readonly Omit<TextSetting, "field">[] = [
  { name: "retention-bytes", key: "retentionBytes", kind: "size" },
  { name: "retention-age", key: "retentionAgeMs", kind: "duration" },
  { name: "max-bytes", key: "maxBytes", kind: "size" },
  { name: "ttl", key: "ttlMs", kind: "duration" },
  { name: "expires-at", key: "expiresAtMs", kind: "time" },
  { name: "record-bytes-max", key: "recordBytesMax", kind: "size" },
  { name: "content-type", key: "contentType", kind: "text" },
];
export const textSettings: readonly TextSetting[] = texts.map((one) => ({
  ...one,
  field: settingFields[one.key],
}));

const sizeKind = bytes(1);
const durationKind = duration(1, Number.MAX_SAFE_INTEGER);
const dayMs = 86_400_000;
const examples = {
  size: "a size such as 64MiB",
  duration: "a duration such as 24h or 7d",
  time: "a time such as 2030-01-01 or 2030-01-01T12:00:00Z",
};

/**
 * Returns the value of a setting: bytes, milliseconds, milliseconds since 1970, or the text.
 * @throws Fault "bad-request" that says what is expected
 */
export function parseSetting({ name, kind }: TextSetting, text: string): number | string {
  if (kind === "text") return checkedType(text, name);
  const found = numberIn(kind, text);
  if (Number.isSafeInteger(found) && found > 0) return found;
  throw new Fault("bad-request", {
    message: `${name} must be ${examples[kind]}, not "${text}"`,
    facts: { field: name },
  });
}

/** NaN for a text that is no such value. */
function numberIn(kind: "size" | "duration" | "time", text: string): number {
  if (kind === "time") return parseTime(text) ?? Number.NaN;
  if (kind === "duration") return parseDuration(text) ?? Number.NaN;
  try {
    return sizeKind.parse(text);
  } catch {
    return Number.NaN;
  }
}

/** The text of a value, which parseSetting() returns again. A time beyond the range of Date is printed as a number. */
export function printSetting({ kind }: TextSetting, value: number | string): string {
  if (typeof value === "string") return value;
  if (kind === "size") return sizeKind.print(value);
  // Days are what people write, but for one: 24h and 7d.
  if (kind === "duration" && value % dayMs === 0 && value > dayMs) return `${value / dayMs}d`;
  if (kind === "duration") return durationKind.print(value);
  const time = new Date(value);
  return Number.isNaN(time.getTime()) ? `${value} ms` : time.toISOString();
}
