/**
 * The entity tags of logs and records, and the conditions of requests (RFC 9110 §13.1).
 *
 *   a log       := its id with the life of the cluster, and its version: versions are Raft indexes, and are given again
 *                  after a restore
 *   a record    := the id of its log, its offset, and the form of the response
 */
import { Fault } from "../../../fault.ts";
import type { LogInfo, Offset, RaftIndex } from "../../../types.ts";
import { logIdText, parseLogId, type StatedId } from "../../methods/logs/log-id.ts";
import { type Exchange, headerOf, quoted } from "../exchange/exchange.ts";

export const tagOfLog = ({ life, id, version }: Pick<LogInfo, "life" | "id" | "version">): string =>
  `"${logIdText(life, id)}.${version}"`;

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

/** What If-Match requires: this log, at this version. */
export interface RequiredLog extends StatedId {
  readonly version: RaftIndex;
}

/**
 * Returns what If-Match requires. Undefined without the header, and for `*`: a change requires a log anyway.
 * @throws Fault "bad-request" for anything but one tag; "failed-precondition" for a tag that no log has
 */
export function requiredLog(ifMatch: string | undefined): RequiredLog | undefined {
  const text = ifMatch?.trim();
  if (text === undefined || text === "*") return undefined;
  const [, logId, version] = /^"(\d{1,10}-\d{1,10})\.(\d{1,16})"$/.exec(text) ?? [];
  if (logId !== undefined && Number.isSafeInteger(Number(version)))
    return { ...parseLogId(logId, "If-Match"), version: Number(version) };
  // RFC 9110 §8.8.3: what is a tag, but not one of a log, matches none.
  if (/^"[!#-~]*"$/.test(text)) {
    throw new Fault("failed-precondition", {
      message: `If-Match is ${quoted(text)}, and the ETag of a log is its id and its version, such as "3-1.7". Read it again`,
      facts: { reason: "VERSION_MISMATCH" },
    });
  }
  throw new Fault("bad-request", {
    message: `If-Match must be * or one ETag of the log with its quotes, such as "3-1.7", not ${quoted(text)}`,
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
