/** The refusals of requests about cursors: what was expected, what was found, and what to do. */
import { Fault } from "../../../fault.ts";
import type { CursorRow } from "../../../log/mod.ts";
import type { RaftIndex } from "../../../types.ts";

/** A commit or a delete stated another version. The facts have the present one; 0 if there is no cursor. */
export function cursorChanged(name: string, expected: RaftIndex, found: CursorRow | undefined): Fault {
  const present =
    found === undefined
      ? "it does not exist"
      : `it has version ${found.version} and offset ${found.cursor.offset}`;
  const wanted = expected === 0 ? "it was expected not to exist" : `version ${expected} was expected`;
  return new Fault("failed-precondition", {
    message: `cursor "${name}" was not changed: ${wanted}, and ${present}. Another consumer may use it`,
    facts: {
      ...{ name, expected, found: found?.version ?? 0, reason: "CURSOR_VERSION_MISMATCH" },
      ...(found === undefined ? {} : { offset: found.cursor.offset }),
    },
  });
}

export const tooManyCursors = (log: string, found: number, limit: number): Fault =>
  new Fault("quota-exceeded", {
    message: `log "${log}" has ${found} cursors, with those that are being created, and takes at most ${limit} (--log-cursors-max). Delete one first`,
    facts: { reason: "TOO_MANY_CURSORS_OF_LOG", name: log, limit, found },
  });

export const tooManyOfCluster = (found: number, limit: number): Fault =>
  new Fault("quota-exceeded", {
    message: `the cluster has ${found} cursors, and takes at most ${limit}. Delete one first`,
    facts: { reason: "TOO_MANY_CURSORS", limit, found },
  });
