/**
 * The entity tags of logs and records, and the conditions of requests (RFC 9110 §13.1).
 *
 *   a log       := its id with the life of the cluster, and its version: versions are Raft indexes, and are given again
 *                  after a restore
 *   a record    := the id of its log, its offset, the form of the response, and the media type of a value that is sent as it is
 */
import { Fault } from "../../../fault.ts";
import { crc32 } from "../../../lib/checksum.ts";
import type { LogInfo, Offset, RaftIndex } from "../../../types.ts";
import { logIdText, type StatedId } from "../../methods/logs/log-id.ts";
import { type Exchange, headerOf, quoted } from "../exchange/exchange.ts";

export const tagOfLog = ({ life, id, version }: Pick<LogInfo, "life" | "id" | "version">): string =>
  `"${logIdText(life, id)}.${version}"`;

/** `mediaType` is that of a value that is sent as it is. */
export const tagOfRecord = (logId: string, offset: Offset, form: string, mediaType?: string): string =>
  `"${logId}.${offset}.${form}${mediaType === undefined ? "" : `.${crc32(Buffer.from(mediaType)).toString(16)}`}"`;

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

/** The logs of which If-Match requires one. */
export type RequiredLogs = readonly [RequiredLog, ...RequiredLog[]];

/**
 * Returns what If-Match requires: one of these. Undefined without the header, and for `*`: a change requires a log anyway. A weak
 * tag, and what is not the tag of a log, match nothing (RFC 9110 §8.8.3.2, §13.1.1).
 * @throws Fault "bad-request" for anything but a list of at most 64 tags; "failed-precondition" if none can be that of a log
 */
export function requiredLogs(ifMatch: string | undefined): RequiredLogs | undefined {
  const text = ifMatch?.trim();
  if (text === undefined || text === "*") return undefined;
  const tags = tagsOf(text);
  if (tags === undefined) {
    throw new Fault("bad-request", {
      message: `If-Match must be * or at most ${tagsMax} ETags with their quotes, such as "3-1.7", not ${quoted(text)}`,
      facts: { field: "If-Match" },
    });
  }
  const [first, ...rest] = tags.flatMap((tag) => logOfTag(tag) ?? []);
  if (first !== undefined) return [first, ...rest];
  throw new Fault("failed-precondition", {
    message: `If-Match is ${quoted(text)}, and the ETag of a log is its id and its version, such as "3-1.7". Read it again`,
    facts: { reason: "VERSION_MISMATCH" },
  });
}

/** The tags of a list; undefined if the text is not a list. Lists can have empty elements (RFC 9110 §5.6.1.2). */
function tagsOf(text: string): readonly string[] | undefined {
  const tag = /[ \t]*(?:((?:W\/)?"[!#-~\x80-\xff]*")[ \t]*)?(?:,|$)/y;
  const tags: string[] = [];
  while (tag.lastIndex < text.length) {
    const found = tag.exec(text);
    if (found === null || tags.length > tagsMax) return undefined;
    if (found[1] !== undefined) tags.push(found[1]);
  }
  return tags.length === 0 || tags.length > tagsMax ? undefined : tags;
}

/** Undefined for a tag that no log has. */
function logOfTag(tag: string): RequiredLog | undefined {
  const [, life, id, version] = /^"(0|[1-9]\d{0,9})-([1-9]\d{0,9})\.(0|[1-9]\d{0,15})"$/.exec(tag) ?? [];
  return version === undefined ? undefined : { life: Number(life), id: Number(id), version: Number(version) };
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
