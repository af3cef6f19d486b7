/** The refusals of requests about named logs: what was expected, what was found, and what to do. */
import { Fault } from "../../fault.ts";
import { newNameFlawOf } from "../../lib/names/new-name.ts";
import { createCommand, type LogRow, settingDifferences, updateCommand } from "../../log/mod.ts";
import type { NamedLogSettings, Offset, RaftIndex } from "../../types.ts";

export const noSuchLog = (name: string): Fault =>
  new Fault("not-found", {
    message: `there is no log "${name}". To create it: ${createCommand(name)}, or PUT /logs/NAME`,
    facts: { name, reason: "NO_SUCH_LOG" },
  });

/** A change of a log was written, and the log was deleted before the answer. Nothing is left of the change. */
export const deletedSince = (name: string): Fault =>
  new Fault("not-found", {
    message: `the change of log "${name}" was written, and then the log was deleted by another request`,
    written: "unknown",
    facts: { name, reason: "NO_SUCH_LOG" },
  });

export const anotherLog = (name: string): Fault =>
  new Fault("failed-precondition", {
    message: `the name "${name}" now means another log: the stated one was deleted. Read its id again, or state none`,
    facts: { name, reason: "ANOTHER_LOG" },
  });

/** A request found its log by the name alone. That log was deleted before the request ended, and another one has the name. */
export const deletedMeanwhile = (name: string): Fault =>
  new Fault("not-found", {
    message: `log "${name}" was deleted during the request, and its name means another log now. Try again`,
    facts: { name, reason: "NO_SUCH_LOG" },
  });

/** Returns true if a stated life is not the present one. A cluster without a life has no logs, and nothing is of another one. */
export const isOtherLife = (stated: number | undefined, life: number): stated is number =>
  stated !== undefined && life !== 0 && stated !== life;

export const anotherLife = (name: string, stated: number, life: number): Fault =>
  new Fault("failed-precondition", {
    message: `the stated id of log "${name}" is of another life of the cluster: ${stated}, it is ${life} now`,
    facts: { name, reason: "ANOTHER_LIFE" },
  });

/** The log was deleted, and its forks still need its records. Its name is free once they are deleted, too. */
export const keptForForks = (
  name: string,
  kind: "not-found" | "already-exists" | "failed-precondition",
): Fault =>
  new Fault(kind, {
    message: `log "${name}" was deleted, and is kept for its forks: its name is free once they are deleted`,
    facts: { name, reason: "KEPT_FOR_FORKS" },
  });

/** A trim of a log whose records its forks show. */
export const hasForks = (name: string): Fault =>
  new Fault("failed-precondition", {
    message: `log "${name}" has forks, which show its records: it is not trimmed until they are deleted`,
    facts: { name, reason: "HAS_FORKS" },
  });

/** A create found a log with settings that differ from the stated ones. */
export const alreadyExists = ({ name, settings }: LogRow, stated: NamedLogSettings): Fault =>
  new Fault("already-exists", {
    message: `there is a log "${name}" with other settings: ${settingDifferences(stated, settings)}. To change them: ${updateCommand(name)}`,
    facts: { name },
  });

export const versionMismatch = ({ name, version }: LogRow, expected: RaftIndex): Fault =>
  new Fault("failed-precondition", {
    message: `log "${name}" has version ${version}, not ${expected}: it was changed or appended to since. Read its version again`,
    facts: { name, expected, found: version, reason: "VERSION_MISMATCH" },
  });

/**
 * Why a change that states a version is refused once the appends that were accepted before it are settled. `row` is that of the
 * log then.
 */
export function changedBefore(row: LogRow | undefined, name: string, expected: RaftIndex): Fault {
  if (row === undefined) return noSuchLog(name);
  if (row.version !== expected) return versionMismatch(row, expected);
  const message = `what was queued for log "${name}" before this change failed, or left the log at version ${expected}. Try again`;
  return new Fault("unavailable", { message });
}

/** A closed log is never opened again. */
export const logClosed = (name: string): Fault =>
  new Fault("failed-precondition", {
    message: `log "${name}" is closed, it takes no more records. It can be read and deleted`,
    facts: { name, reason: "LOG_CLOSED" },
  });

/** `needed` are the bytes of the append with the head of its frame. `bytes` includes appends that are queued. */
export const logFull = (name: string, bytes: number, needed: number, maxBytes: number): Fault =>
  new Fault("failed-precondition", {
    message: `log "${name}" holds ${bytes} bytes, the append needs ${needed}, and max_bytes is ${maxBytes}. Trim the log (tailrace trim --log), or raise max_bytes: ${updateCommand(name, "--max-bytes SIZE")}`,
    facts: { name, foundBytes: bytes, needed, bytesMax: maxBytes, reason: "LOG_FULL" },
  });

export const recordTooLarge = (name: string, foundBytes: number, bytesMax: number): Fault =>
  new Fault("too-large", {
    message: `a record has ${foundBytes} bytes with its key and headers, and record_bytes_max of log "${name}" is ${bytesMax}. To raise it: ${updateCommand(name, "--record-bytes-max SIZE")}`,
    facts: { foundBytes, bytesMax },
  });

/** What a leader takes for the present time. While its clock is not trusted, the latest time that it knows. */
export interface PresentTime {
  readonly nowMs: number;
  readonly isTrusted: boolean;
}

/** Retention would delete a log with this setting at once. */
export function pastExpiry(expiresAtMs: number, { nowMs, isTrusted }: PresentTime): Fault {
  const given = new Date(expiresAtMs).toISOString();
  const doubt = isTrusted ? "" : ". The clock of the leader is not trusted now, its /readyz?verbose says why";
  return new Fault("bad-request", {
    message: `expires_at_ms must be later than now: it is ${expiresAtMs} (${given}), and now is ${nowMs} (${new Date(nowMs).toISOString()})${doubt}. To delete a log: tailrace logs delete`,
    facts: { field: "expires_at_ms", reason: "EXPIRED", found: expiresAtMs, nowMs },
  });
}

/** A new time to live has passed already, so retention would delete the log at once. */
export function pastTtl(row: LogRow, ttlMs: number, { nowMs, isTrusted }: PresentTime): Fault {
  const { name, createdMs, lastMs } = row;
  const sinceMs = Math.max(createdMs, lastMs);
  const since = `${lastMs >= createdMs ? "last appended to" : "created"} at ${new Date(sinceMs).toISOString()}`;
  const doubt = isTrusted ? "" : ". The clock of the leader is not trusted now, its /readyz?verbose says why";
  return new Fault("bad-request", {
    message: `ttl_ms counts from the last append, not from the change: log "${name}" was ${since}, so with ttl_ms ${ttlMs} it would be deleted at once${doubt}. Append to it first, or set expires_at_ms. To delete a log: tailrace logs delete`,
    facts: { field: "ttl_ms", reason: "EXPIRED", found: ttlMs, nowMs },
  });
}

/** The fault of a request that some members could not apply, or may be unable to. */
export const oldMembers = (names: readonly string[]): Fault =>
  new Fault("failed-precondition", {
    message: `every node must be connected, and have a version that knows this request. These are not connected, or have an earlier version: ${names.join(", ")}`,
    facts: { reason: "OLD_MEMBERS", members: names.join(" ") },
  });

/** A quota was used up by what was under way, and that has failed, or something was deleted since. */
export const roomAgain = (): Fault =>
  new Fault("unavailable", {
    message:
      "a quota was used up, and has room again: changes under way failed, or logs were deleted. Try again",
  });

/**
 * Why a log or a cursor of this name is not created; undefined if it can be. Here and not where requests arrive: what is there
 * can have such a name, and is found by it.
 */
export function refusedName(name: string, what: "log" | "cursor"): Fault | undefined {
  const flaw = newNameFlawOf(name);
  if (flaw === undefined) return undefined;
  const message = `the name of a new ${what} ${flaw}`;
  return new Fault("bad-request", { message, facts: { field: what } });
}

/** All ids were given since the cluster began this life. Names of logs that are there go on. */
export const noIdsLeft = (): Fault =>
  new Fault("failed-precondition", {
    message: "the cluster has no log ids left: no log can be created any more",
    facts: { reason: "NO_LOG_IDS_LEFT" },
  });

export const offsetMismatch = (expected: Offset, next: Offset): Fault =>
  new Fault("offset-mismatch", {
    message: `expected the log to end at ${expected}, it ends at ${next}`,
    facts: { expected, next },
  });
