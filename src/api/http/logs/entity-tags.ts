/**
 * The entity tags of logs and records, and the conditions of requests (RFC 9110 §13.1).
 *
 *   a log       := its version
 *   a record    := the id of its log, its offset, and the form of the response
 */
import { Fault } from "../../../fault.ts";
import type { LogInfo, Offset, RaftIndex } from "../../../types.ts";
import { type Exchange, headerOf, quoted } from "../exchange/exchange.ts";

export const tagOfLog = ({ version }: Pick<LogInfo, "version">): string => `"${version}"`;

export const tagOfRecord = (logId: string, offset: Offset, form: string): string =>
  `"${logId}.${offset}.${form}"`;

/** Tags of a header that are considered. */
const tagsMax = 64;

/** Returns whether If-None-Match names the tag. */
export function isKnownTag(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  const tags = ifNoneMatch.split(",", tagsMax).map((each) => each.trim().replace(/^W\//, ""));
  return tags.includes(tag) || tags.includes("*");
}

/**
 * Returns the version that If-Match requires. Undefined without the header, and for `*`: a change requires a log anyway.
 * @throws Fault "bad-request" for anything but one tag of a log
 */
export function requiredVersion(ifMatch: string | undefined): RaftIndex | undefined {
  const text = ifMatch?.trim();
  if (text === undefined || text === "*") return undefined;
  const version = /^"\d{1,16}"$/.test(text) ? Number(text.slice(1, -1)) : Number.NaN;
  if (Number.isSafeInteger(version)) return version;
  throw new Fault("bad-request", {
    message: `If-Match must be * or one ETag of the log with its quotes, such as "7", not ${quoted(text)}`,
    facts: { field: "If-Match" },
  });
}

/**
 * Refuses the conditions that a request does not compare: a write must not happen where its condition is false. `instead`
 * says what the request takes.
 * @throws Fault "bad-request"
 */
export function rejectConditions(
  exchange: Pick<Exchange, "headers">,
  names: readonly ("If-Match" | "If-None-Match")[],
  instead: string,
): void {
  for (const name of names) {
    if (headerOf(exchange, name.toLowerCase()) === undefined) continue;
    throw new Fault("bad-request", { message: `${instead} and no ${name}`, facts: { field: name } });
  }
}
