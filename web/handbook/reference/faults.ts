/** The errors: kinds with their codes and statuses, from the tables that send them, and what the narrower reasons mean. */
import { codeName, codeOf, connectErrorOf, httpErrorOf } from "../../../src/api/calls/error-mapping.ts";
import { exitStatus, statusOf } from "../../../src/cli/exit-status.ts";
import { Fault, faultKinds, invitesRetry } from "../../../src/fault.ts";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import { code, table } from "./table.ts";

export function faults(): string {
  const rows = faultKinds.map((kind) => {
    const fault = new Fault(kind);
    const [info] = connectErrorOf(fault).findDetails(ErrorInfoSchema);
    // With the address of the leader, a plain HTTP client is redirected.
    const { status } = httpErrorOf(fault, "http://leader/");
    return [
      code(info?.reason ?? ""),
      code(codeName(codeOf(fault))),
      String(status),
      invitesRetry(kind) ? "yes" : "no",
      String(statusOf(fault)),
      fault.message,
    ];
  });
  return table(["reason", "code", "HTTP", "retry", "exit", "meaning"], rows);
}

/** What a client can find as `reason` in the metadata of an error, besides the kind. A test compares it with the code. */
export const reasons: Readonly<Record<string, string>> = {
  ANOTHER_LIFE:
    "the stated id, token or ETag is of another life of the cluster: it was restored or recovered since, and ids were given again",
  ANOTHER_LOG: "the name means another log than the stated id: the log was deleted and created again",
  EXPIRED: "the stated time of expiry has passed",
  LOG_CLOSED: "the log is closed and takes no more records",
  STREAM_SEQ: "`Stream-Seq` is not greater than that of the append before",
  CONTENT_TYPE: "an append to a stream has another content type than the stream",
  NOT_JSON: "a record of a stream of JSON is not JSON: it was not appended as a stream",
  HAS_FORKS: "the log has forks, which show its records, so it is not trimmed",
  KEPT_FOR_FORKS: "a log of the name is deleted or has expired, and is kept until its last fork is deleted",
  LOG_FULL: "the log has reached its `max_bytes`",
  NO_LOG_IDS_LEFT: "the cluster has used all numbers for logs",
  NO_SUCH_LOG: "there is no log of this name",
  OLD_MEMBERS: "a member of the cluster runs a version without named logs, or is not connected",
  ROWS_LOST:
    "`tailrace repair`: which named logs there were is lost in this directory; restore a backup, or let the node join the cluster again",
  TICKET_INVALID:
    "the ticket was used, is older than 30 seconds, is not one of this cluster, or the node that made it does not answer; `POST /tickets` makes another one",
  LOGIN_INVALID:
    "the login at the provider was refused, took too long, or does not belong to the browser: begin again",
  SESSION_ENDED: "the session of the browser was logged out",
  SESSION_EXPIRED: "the session of the browser has expired: log in again",
  SESSION_INVALID: "the cookie of the session is not one of this cluster, was changed, or was sent twice",
  TOKEN_EXPIRED: "the bearer token has expired; `tailrace token issue` makes another one",
  TOKEN_KEY_UNKNOWN: "the cluster has no key with the id that the bearer token names, or the key was removed",
  TOKEN_KEY_RETIRED: "the key of the bearer token has retired: `tailrace token keys rotate` made another one",
  TOKEN_REVOKED: "the bearer token was revoked, by its id or with all tokens of its subject",
  TOKEN_INVALID: "the bearer token has a wrong form, a wrong signature, or a claim that is not accepted",
  TOO_MANY_BYTES_OF_SUBJECT: "the quota `--subject-log-bytes-max` is used up",
  TOO_MANY_CREATES: "the quota `--subject-creates-per-minute` is used up for this minute",
  TOO_MANY_FORKS_OF_FORKS:
    "the log would be a fork of a fork, of a fork, and so on, more often than is allowed",
  NO_SUCH_CURSOR: "the log has no cursor of this name: the first commit creates it",
  CURSOR_VERSION_MISMATCH:
    "the cursor does not have the stated version; `found` has the present one, 0 for none, and `offset` its offset",
  TOO_MANY_CURSORS: "the cluster has as many cursors as it takes",
  TOO_MANY_CURSORS_OF_LOG: "the log has `--log-cursors-max` cursors",
  TOO_MANY_LOGS: "the cluster has `--logs-max` logs",
  TOO_MANY_LOGS_OF_SUBJECT: "the quota `--subject-logs-max` is used up",
  LOG_EXISTS: "`If-None-Match: *` was stated, and the log exists",
  VERSION_MISMATCH: "`If-Match` was stated, and the log has another version",
};

/** Reasons that only other nodes get. */
export const peerReasons: readonly string[] = ["BASE_DAMAGED", "BASE_REPLACED"];

export function faultReasons(): string {
  return table(
    ["reason", "meaning"],
    Object.entries(reasons).map(([reason, meaning]) => [code(reason), meaning]),
  );
}

const exits: Readonly<Record<keyof typeof exitStatus, string>> = {
  done: "done",
  failed: "failed; the line on standard error says what happened, and whether a change was made",
  usage: "an invalid flag or argument; no request was sent",
  unreachable: "no node could be reached",
  permission: "not allowed, or the node requires a certificate",
  corrupt: "stored bytes are damaged",
  warnings: "`tailrace doctor` found only warnings",
  interrupted: "Ctrl-C",
};

export function exitCodes(): string {
  const rows = Object.entries(exitStatus).map(([name, status]) => [
    String(status),
    exits[name as keyof typeof exitStatus],
  ]);
  return table(["status", "meaning"], rows);
}
