/**
 * The log that a request names, with the id that it states. The name is resolved once; then the id counts, so a request
 * that a delete and a create overtake fails and never sees the new log.
 */
import { logObject } from "../../../access/mod.ts";
import { Fault } from "../../../fault.ts";
import type { CommitLog, Freshness, LogCatalog, LogInfo, NamedCommitLog } from "../../../types.ts";
import { idInLife, parseLogId, type StatedId } from "../../methods/log-id.ts";
import { defaultLog } from "../../methods/log-name.ts";

export interface LogSource {
  /** The log `default`. */
  readonly log: CommitLog;
  /** The named logs. */
  readonly named?: LogCatalog | undefined;
}

/** A log as a request names it. */
export interface LogTarget {
  readonly name: string;
  /** The id that the log must have. */
  readonly stated: StatedId | undefined;
}

/** The log of one request. The log `default` has no info. */
export interface FoundLog {
  readonly log: CommitLog;
  readonly info: LogInfo | undefined;
}

/** The object of the permission to do something with a log. */
export const objectOf = (name: string): string => (name === defaultLog ? logObject : name);

/** @throws Fault "bad-request" for an id that is not one, or is stated twice */
export function targetOf(name: string, params: URLSearchParams): LogTarget {
  const ids = params.getAll("log_id");
  if (ids.length > 1)
    throw new Fault("bad-request", { message: "log_id is given more than once", facts: { field: "log_id" } });
  const [id] = ids;
  return { name, stated: id === undefined ? undefined : parseLogId(id) };
}

/** @throws Fault "unimplemented" if there are no named logs here */
export function catalogOf({ named }: LogSource): LogCatalog {
  if (named === undefined) throw new Fault("unimplemented", { message: "there are no named logs here" });
  return named;
}

/**
 * Finds the log, so that its id counts from now on.
 * @throws Fault "not-found"; "failed-precondition" if the name means another log than the stated one
 */
export async function findLog(source: LogSource, target: LogTarget, freshness: Freshness): Promise<FoundLog> {
  if (target.name === defaultLog) {
    requireNoId(target);
    return { log: source.log, info: undefined };
  }
  const log = openNamed(source, target);
  const info = await log.info(freshness);
  if (target.stated !== undefined) idInLife(target.stated, info.life, target.name);
  return { log, info };
}

/** Opens the log without looking it up. */
export function openNamed(source: LogSource, { name, stated }: LogTarget): NamedCommitLog {
  return catalogOf(source).open({ name, ...(stated === undefined ? {} : { id: stated.id }) });
}

/** @throws Fault "failed-precondition" if an id is stated for `default`, which has none */
export function requireNoId({ stated }: LogTarget): void {
  if (stated === undefined) return;
  throw new Fault("failed-precondition", {
    message: `log "${defaultLog}" has no id, a log with the stated one was deleted`,
    facts: { name: defaultLog, reason: "ANOTHER_LOG" },
  });
}
