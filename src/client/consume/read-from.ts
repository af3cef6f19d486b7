/**
 * Where a reading begins, as a program says it.
 */
import { Fault } from "../../fault.ts";
import type { ReadStart } from "../../types.ts";

/** `"start"`, `"end"`, an offset, a Date, or one of the objects of ReadStart. */
export type ReadFrom = ReadStart | "start" | "end" | number | bigint | Date;

const form =
  'must be "start", "end", an offset, a Date, or one of { offset }, { last }, { fromTimeMs } and { end: true }';

/**
 * Returns the start that `from` stands for. The oldest record is `{ fromTimeMs: 0 }`.
 *
 * @throws Fault "bad-request" for anything else
 */
export function readStartOf(from: ReadFrom): ReadStart {
  if (from === "start") return { fromTimeMs: 0 };
  if (from === "end") return { end: true };
  if (typeof from === "number" || typeof from === "bigint") return { offset: wholeNumber("from", from) };
  if (from instanceof Date) return { fromTimeMs: wholeNumber("from", from.getTime()) };
  if (typeof from !== "object" || from === null) throw wrong(from);
  if ("offset" in from) return { offset: wholeNumber("offset", from.offset) };
  if ("last" in from) return { last: wholeNumber("last", from.last) };
  if ("fromTimeMs" in from && typeof from.fromTimeMs === "number" && !Number.isNaN(from.fromTimeMs))
    return from;
  if ("end" in from && from.end === true) return from;
  throw wrong(from);
}

function wholeNumber(field: string, value: unknown): number {
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number === "number" && Number.isSafeInteger(number) && number >= 0) return number;
  throw new Fault("bad-request", {
    message: `${field} must be a whole number from 0 to 2^53 − 1, not ${shown(value)}`,
    facts: { field },
  });
}

const wrong = (from: unknown): Fault =>
  new Fault("bad-request", { message: `from ${form}, not ${shown(from)}`, facts: { field: "from" } });

/** What was found, in a few characters. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  return typeof value === "object" && value !== null ? Object.prototype.toString.call(value) : String(value);
}
