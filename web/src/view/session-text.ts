/** The user's identity and session, in words. */
import { minuteOf } from "../core/format.ts";
import { zoneMinutesAt } from "../io/timing.ts";
import { second, sessionEnd, timeStyle } from "../state/app.ts";

/** When the session ends: "14:05", with the date if that is another day. Undefined: there is none. */
export function sessionEndText(): string | undefined {
  const endsMs = sessionEnd.options.value?.endsMs;
  if (endsMs === undefined) return undefined;
  const isUtc = timeStyle.value === "utc";
  const text = minuteOf(endsMs, second.value, isUtc ? 0 : zoneMinutesAt(endsMs));
  return isUtc ? `${text} UTC` : text;
}

/** "You may produce, consume", or that it is nothing. */
export const mayText = (actions: readonly string[]): string =>
  `You may ${actions.join(", ") || "do nothing"}`;
