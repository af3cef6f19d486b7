/** What a request for a tail of several logs asks for, checked. Pure. */
import { Fault } from "../../../fault.ts";
import { defaultLog, namedLogOf } from "../../../lib/names/log-name.ts";
import type { MultiStart } from "../../../types.ts";
import { parseResumeToken } from "./resume-token.ts";

/** A request as it arrives. */
export interface LogsRequest {
  readonly names: readonly string[];
  /** The id that each name must have, or none. An empty text states nothing. */
  readonly logIds: readonly string[];
  readonly prefix?: string | undefined;
  /** Empty: the tail begins at the end, or at the start. */
  readonly resume: string;
  readonly fromStart: boolean;
}

/** A log with the id that it must have. */
export interface AskedLog {
  readonly log: string;
  readonly logId: string | undefined;
}

export type AskedLogs = { readonly start: MultiStart } & (
  | { readonly prefix: string }
  | { readonly names: readonly AskedLog[] }
);

export const namesMax = 256;
const prefixBytesMax = 255;

const reject = (message: string, field: string): never => {
  throw new Fault("bad-request", { message, facts: { field } });
};

/** @throws Fault "bad-request" */
export function askedLogs({ names, logIds, prefix, resume, fromStart }: LogsRequest): AskedLogs {
  const start = startOf(resume, fromStart);
  if (prefix !== undefined) {
    if (names.length > 0) return reject("names and a prefix cannot be combined", "prefix");
    return { start, prefix: checkedPrefix(prefix) };
  }
  if (names.length === 0) return reject("names or a prefix are needed", "names");
  if (names.length > namesMax)
    return reject(`at most ${namesMax} logs can be named, these are ${names.length}`, "names");
  if (logIds.length > 0 && logIds.length !== names.length)
    return reject(`${logIds.length} ids are stated for ${names.length} names`, "log_ids");
  const stated = names.map((name, at): AskedLog => {
    if (name === "") return reject("the name of a log is empty", "names");
    const logId = logIds[at] === "" ? undefined : logIds[at];
    return { log: namedLogOf(name, "names") ?? defaultLog, logId };
  });
  const found = new Set<string>();
  for (const { log } of stated) {
    if (found.has(log)) return reject(`the log "${log}" is named twice`, "names");
    found.add(log);
  }
  return { start, names: stated };
}

function startOf(resume: string, fromStart: boolean): MultiStart {
  if (resume === "") return fromStart ? "start" : "end";
  if (fromStart) return reject("a token and the start cannot be combined", "resume");
  return parseResumeToken(resume);
}

function checkedPrefix(prefix: string): string {
  if (!prefix.isWellFormed()) return reject("the prefix is not valid UTF-8", "prefix");
  if (Buffer.byteLength(prefix) > prefixBytesMax)
    return reject(`the prefix has at most ${prefixBytesMax} bytes`, "prefix");
  if (/[*?[\]{}\\\p{Cc}]/u.test(prefix))
    return reject('no log has a name with this prefix; it is a plain text, without "*"', "prefix");
  return prefix;
}
