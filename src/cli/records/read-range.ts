/**
 * The flags that say which records `consume` and `tail` print. Pure.
 *
 *   --from F         an offset, start, end, -N, @milliseconds, or a time          (tail-request.ts)
 *   --ago D          since this long ago, by the clock of this machine; in place of --from
 *   -n N             the last N records; in place of --from
 *   --until T | D    up to a time, or up to this long ago; the record at that time is not printed
 */
import { parseFrom } from "../../api/http/tail-request.ts";
import { Fault } from "../../fault.ts";
import { parseDuration } from "../../lib/value-kind.ts";
import type { ReadStart } from "../../types.ts";
import { argumentFault, usageFault } from "../exit-status.ts";

export interface RangeFlags {
  readonly from?: string;
  readonly ago?: string;
  readonly last?: string;
  readonly until?: string;
  readonly follow?: boolean;
}

export interface ReadRange {
  readonly start: ReadStart;
  /** Records from this time on are not printed. Undefined: up to the end. */
  readonly untilMs: number | undefined;
}

/** The help of --from. */
export const fromHelp =
  "an offset, start, end, -N for the last N, @milliseconds, or a time of RFC 3339 such as 2026-01-31T12:00:00Z or 2026-01-31";

/**
 * Returns the range of the flags. `byDefault` is the value of --from where no start is given.
 * @throws Fault "config" for flags that are not valid, or exclude each other
 */
export function rangeOf(flags: RangeFlags, byDefault: string, nowMs: number): ReadRange {
  const { from, ago, last, until, follow } = flags;
  const starts = [
    ["--from", from],
    ["--ago", ago],
    ["-n", last],
  ].filter(([, value]) => value !== undefined);
  if (starts.length > 1) throw usageFault(`${starts.map(([name]) => name).join(" and ")} exclude each other`);
  if (until !== undefined && follow === true) throw usageFault("--until and --follow exclude each other");
  const untilMs = until === undefined ? undefined : untilOf(until, nowMs);
  if (ago !== undefined) return { start: { fromTimeMs: timeBefore("--ago", ago, nowMs) }, untilMs };
  if (last === undefined) return { start: startOf(from ?? byDefault), untilMs };
  if (!/^\d+$/.test(last) || !Number.isSafeInteger(Number(last)))
    throw argumentFault("-n must be a number of records", last);
  return { start: { last: Number(last) }, untilMs };
}

/**
 * Returns the start that the value of `flag` names.
 * @throws Fault "config" if it names none
 */
export function startOf(from: string, flag = "--from"): ReadStart {
  try {
    return parseFrom(from);
  } catch (reason) {
    const { message } = Fault.from(reason);
    throw usageFault(message.startsWith("from ") ? `${flag}${message.slice(4)}` : `${flag}: ${message}`);
  }
}

function untilOf(text: string, nowMs: number): number {
  if (parseDuration(text) !== undefined) return timeBefore("--until", text, nowMs);
  let start: ReadStart | undefined;
  try {
    start = /^(@|\d{4}-)/.test(text) ? parseFrom(text) : undefined;
  } catch (reason) {
    throw usageFault(`--until: ${Fault.from(reason).message}`);
  }
  if (start !== undefined && "fromTimeMs" in start) return start.fromTimeMs;
  throw argumentFault(
    "--until must be a time such as 2026-01-31, 2026-01-31T12:00:00Z or @milliseconds, or how long ago, such as 30m",
    text,
  );
}

/** No record is older than 1970. */
function timeBefore(flag: string, text: string, nowMs: number): number {
  const durationMs = parseDuration(text);
  if (durationMs === undefined) {
    const more = /^(@|\d{4}-)/.test(text) ? "; --from takes a time" : "";
    throw argumentFault(`${flag} must be a duration such as 90s, 1h or 7d${more}`, text);
  }
  return Math.max(0, nowMs - durationMs);
}
