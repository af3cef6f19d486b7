/**
 * The names of cursors. Pure.
 *
 *   name := as that of a log (log-name.ts), of 1 to 200 bytes; "default" is an ordinary name
 *
 * A cursor belongs to one log: two logs can have cursors of the same name.
 */
import { Fault } from "../../fault.ts";
import { nameFlawOf } from "./log-name.ts";

/** Longest name, in bytes of UTF-8: with its log, a cursor has a name in the table of rows. */
export const cursorNameBytesMax = 200;

/** Longest metadata of a cursor, in bytes of UTF-8. */
export const cursorMetadataBytesMax = 1024;

/**
 * Returns the name of a cursor.
 * @throws Fault "bad-request" that says what is wrong with it
 */
export function cursorNameOf(name: string): string {
  const flaw = name === "" ? "is missing" : nameFlawOf(name, cursorNameBytesMax);
  if (flaw === undefined) return name;
  throw new Fault("bad-request", { message: `the name of a cursor ${flaw}`, facts: { field: "cursor" } });
}

/** The refusal of a request about a cursor that is not there. `log` is the name of its log. */
export const noSuchCursor = (log: string, cursor: string): Fault =>
  new Fault("not-found", {
    message: `log "${log}" has no cursor "${cursor}". The first commit creates it`,
    facts: { name: cursor, reason: "NO_SUCH_CURSOR" },
  });

/** @throws Fault "bad-request" for metadata that is too long, or no text */
export function checkCursorMetadata(metadata: string): void {
  const size = Buffer.byteLength(metadata);
  const flaw = !metadata.isWellFormed()
    ? "is not valid UTF-8"
    : size > cursorMetadataBytesMax
      ? `has at most ${cursorMetadataBytesMax} bytes, this one has ${size}`
      : undefined;
  if (flaw !== undefined)
    throw new Fault("bad-request", {
      message: `the metadata of a cursor ${flaw}`,
      facts: { field: "metadata" },
    });
}
