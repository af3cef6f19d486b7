/**
 * Parses times of RFC 3339 §5.6 into milliseconds since 1970.
 *
 *   2026-01-31T12:00:00Z      2026-01-31t12:00:00.25+01:00
 *
 * The date must exist (2026-02-30 does not). A leap second, :60, is accepted only in the last minute of a month in UTC.
 * Unix time has no number for it, so it becomes the second after it. A fraction of a millisecond is rounded up: a read
 * from that time begins with the first record that is not before it.
 *
 * People also write a date alone (parseTime). It is midnight in UTC.
 */

const form = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,100}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

const minuteMs = 60_000;

/** Returns the time, negative before 1970; undefined if the text is not such a time. */
export function parseRfc3339(text: string): number | undefined {
  const parts = form.exec(text);
  if (parts === null) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const [offsetHours, offsetMinutes] = [Number(parts[9] ?? 0), Number(parts[10] ?? 0)];
  if (month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 60 || offsetHours > 23 || offsetMinutes > 59) return undefined;
  const sign = parts[8] === "-" ? -1 : 1;
  const offsetMs = sign * (offsetHours * 60 + offsetMinutes) * minuteMs;
  const minuteStart = dayMs(year, month, day) + (hour * 60 + minute) * minuteMs - offsetMs;
  if (second === 60) {
    const after = minuteStart + minuteMs;
    return isMonthStart(after) ? after : undefined;
  }
  return minuteStart + second * 1000 + fractionMs(parts[7] ?? "");
}

/** Does the same, also for a date alone: 2026-01-31 is its midnight in UTC. */
export const parseTime = (text: string): number | undefined =>
  parseRfc3339(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);

/** Returns the milliseconds of the digits after the point, rounded up. */
function fractionMs(digits: string): number {
  const whole = Number(digits.slice(0, 3).padEnd(3, "0"));
  return /[1-9]/.test(digits.slice(3)) ? whole + 1 : whole;
}

function daysOf(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  if (month === 2) return leap ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

/** Date.UTC would read the years 0 to 99 as 1900 to 1999. */
function dayMs(year: number, month: number, day: number): number {
  return new Date(0).setUTCFullYear(year, month - 1, day);
}

function isMonthStart(ms: number): boolean {
  const at = new Date(ms);
  return at.getUTCDate() === 1 && at.getUTCHours() === 0 && at.getUTCMinutes() === 0;
}
