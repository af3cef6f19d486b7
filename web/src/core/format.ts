/** Formats numbers, sizes, times and durations. The time zone is a parameter. */

/** 1204 → "1,204". */
export function grouped(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ",");
}

/** "1 record", "1,204 records". */
export const counted = (count: number, one: string): string =>
  `${grouped(count)} ${one}${count === 1 ? "" : "s"}`;

const sizeUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** 1536 → "1.5 KiB". */
export function size(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1023.5 && unit < sizeUnits.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${sizeUnits[unit]}`;
}

/** 12345 → "12.3k": for axes and read-outs. */
export function compact(value: number): string {
  if (value >= 999_500) return `${(value / 1e6).toFixed(value < 9.95e6 ? 1 : 0)}M`;
  if (value >= 9_995) return `${(value / 1e3).toFixed(value < 99_950 ? 1 : 0)}k`;
  if (value >= 999.5) return grouped(value);
  return value >= 9.95 || value === 0
    ? String(Math.round(value))
    : trimZeros(value.toFixed(value < 0.995 ? 2 : 1));
}

const trimZeros = (text: string): string => text.replace(/\.?0+$/, "");

/** 0.4 → "0.4 ms", 1500 → "1.5 s". */
export function milliseconds(value: number): string {
  if (value < 1000) return `${compact(value)} ms`;
  return span(value);
}

/** A span in its two largest units: 95,000 ms → "1 min 35 s". */
export function span(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${trimZeros(seconds.toFixed(1))} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return pair(minutes, "min", Math.floor(seconds % 60), "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return pair(hours, "h", minutes % 60, "min");
  return pair(Math.floor(hours / 24), "d", hours % 24, "h");
}

const pair = (major: number, majorUnit: string, minor: number, minorUnit: string): string =>
  minor === 0 ? `${major} ${majorUnit}` : `${major} ${majorUnit} ${minor} ${minorUnit}`;

export type TimeStyle = "local" | "utc" | "relative";
export const timeStyles: readonly TimeStyle[] = ["local", "utc", "relative"];

/** The time of day to the millisecond. `zoneMinutes` is local minus UTC. */
export function timeOfDay(atMs: number, zoneMinutes: number): string {
  return iso(atMs, zoneMinutes)?.slice(11, 23) ?? unknown;
}

/** The date, e.g. "2026-11-21". */
export function dateOf(atMs: number, zoneMinutes: number): string {
  return iso(atMs, zoneMinutes)?.slice(0, 10) ?? unknown;
}

/** A time to the minute, e.g. "03:04"; on another day than `nowMs` with the date, "2026-11-21 03:04". */
export function minuteOf(atMs: number, nowMs: number, zoneMinutes: number): string {
  const [date, time] = [dateOf(atMs, zoneMinutes), timeOfDay(atMs, zoneMinutes).slice(0, 5)];
  return date === dateOf(nowMs, zoneMinutes) || date === unknown ? time : `${date} ${time}`;
}

/** Date and time, e.g. "2026-11-21 03:04:05.678 UTC" or "… +01:00". */
export function fullTime(atMs: number, zoneMinutes: number): string {
  const sign = zoneMinutes < 0 ? "−" : "+";
  const [hours, minutes] = [Math.floor(Math.abs(zoneMinutes) / 60), Math.abs(zoneMinutes) % 60];
  const zone = zoneMinutes === 0 ? "UTC" : `${sign}${two(hours)}:${two(minutes)}`;
  const text = iso(atMs, zoneMinutes)?.slice(0, 23).replace("T", " ");
  return text === undefined ? unknown : `${text} ${zone}`;
}

/** How long ago; a clock that is a little ahead reads as now. */
export function ago(atMs: number, nowMs: number): string {
  const past = nowMs - atMs;
  if (past < 1000) return "now";
  return `${span(Math.floor(past / 1000) * 1000)} ago`;
}

/** As ago(), in the largest unit alone, for a narrow column. */
export function roughlyAgo(atMs: number, nowMs: number): string {
  const [amount, unit] = ago(atMs, nowMs).split(" ");
  return unit === undefined ? "now" : `${amount} ${unit} ago`;
}

const two = (value: number): string => String(value).padStart(2, "0");

/** What stands for a time beyond the calendar. */
const unknown = "—";

function iso(atMs: number, zoneMinutes: number): string | undefined {
  const date = new Date(atMs + zoneMinutes * 60_000);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
