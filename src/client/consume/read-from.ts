/** Converts the `from` option of an application. */
import { Fault } from "../../fault.ts";
import type { ReadStart } from "../../types.ts";

/** `"start"`, `"end"`, an offset, a Date, or one of the objects of ReadStart. */
export type ReadFrom = ReadStart | "start" | "end" | number | bigint | Date;

const form =
  'must be "start", "end", an offset, a Date, or one of { offset }, { last }, { fromTimeMs } and { end: true }';

/**
 * Returns the start that `from` means. "start" becomes `{ fromTimeMs: 0 }`, the oldest record.
 * @throws Fault "bad-request" for anything else
 */
export function readStartOf(from: ReadFrom): ReadStart {
  if (from === "start") return { fromTimeMs: 0 };
  if (from === "end") return { end: true };
  if (typeof from === "number" || typeof from === "bigint") return { offset: wholeNumber("from", from) };
  if (from instanceof Date) return { fromTimeMs: wholeNumber("from", from.getTime()) };
  if (typeof from !== "object" || from === null) throw invalid(from);
  if ("offset" in from) return { offset: wholeNumber("offset", from.offset) };
  if ("last" in from) return { last: wholeNumber("last", from.last) };
  if ("fromTimeMs" in from && typeof from.fromTimeMs === "number" && !Number.isNaN(from.fromTimeMs))
    return from;
  if ("end" in from && from.end === true) return from;
  throw invalid(from);
}

function wholeNumber(field: string, value: unknown): number {
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number === "number" && Number.isSafeInteger(number) && number >= 0) return number;
  throw new Fault("bad-request", {
    message: `${field} must be a whole number from 0 to 2^53 − 1, not ${describeValue(value)}`,
    facts: { field },
  });
}

const invalid = (from: unknown): Fault =>
  new Fault("bad-request", { message: `from ${form}, not ${describeValue(from)}`, facts: { field: "from" } });

/** Describes the value in a few characters. */
function describeValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  return typeof value === "object" && value !== null ? Object.prototype.toString.call(value) : String(value);
}
