/**
 * The command of a cursor: how far a consumer of a log has got. Pure.
 *
 *   commit := { "offset": …, "metadata": text, "log": id, "cursor": name, "owner": subject }
 *
 * It is a JSON object. `metadata` is absent if there is none. `log` and `cursor` are in the first commit of a cursor, which creates it;
 * `owner` only if a caller did. Each command states everything that it changes: applying it decides nothing. Unknown keys are ignored.
 *
 * A cursor is a row of its own in the table of named logs, with an id and a name that no log can have. Its frames hold this id. So it
 * is in checkpoints, base files, snapshots and backups as logs are. A log that is deleted and created again has another id, and so
 * shows no cursor of the log before.
 */
import { Fault } from "../../fault.ts";
import { cursorMetadataBytesMax, cursorNameBytesMax } from "../../lib/names/cursor-name.ts";
import type { LogId, Offset } from "../../types.ts";
import { isOwner } from "./log-command.ts";

export interface CursorCommand {
  /** The next offset that its consumer wants. */
  readonly offset: Offset;
  readonly metadata?: string;
  /** Present in the command that creates the cursor. */
  readonly created?: CursorCreate;
}

export interface CursorCreate {
  /** The log whose records it is about; 0: `default`. */
  readonly log: LogId;
  readonly name: string;
  /** The subject that created it. */
  readonly owner?: string;
}

export function encodeCursorCommand({ offset, metadata, created }: CursorCommand): Uint8Array {
  const { log, name: cursor, owner } = created ?? {};
  return Buffer.from(JSON.stringify({ offset, metadata, log, cursor, owner }));
}

/** @throws Fault "corrupt" */
export function decodeCursorCommand(command: Uint8Array): CursorCommand {
  let found: unknown;
  try {
    found = JSON.parse(Buffer.from(command.buffer, command.byteOffset, command.length).toString());
  } catch (cause) {
    throw malformed("JSON", cause);
  }
  if (typeof found !== "object" || found === null) throw malformed("object");
  const { offset, metadata, log, cursor, owner } = found as Readonly<Record<string, unknown>>;
  if (!isWhole(offset)) throw malformed("offset");
  if (metadata !== undefined && !isText(metadata, cursorMetadataBytesMax)) throw malformed("metadata");
  const changed = metadata === undefined ? { offset } : { offset, metadata };
  if (log === undefined && cursor === undefined) return changed;
  if (!isWhole(log) || log > 0xffff_ffff) throw malformed("log");
  if (!isText(cursor, cursorNameBytesMax)) throw malformed("cursor");
  if (owner !== undefined && !isOwner(owner)) throw malformed("owner");
  return { ...changed, created: { log, name: cursor, ...(owner === undefined ? {} : { owner }) } };
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isText = (value: unknown, bytesMax: number): value is string =>
  typeof value === "string" && value !== "" && Buffer.byteLength(value) <= bytesMax;

const malformed = (part: string, cause?: unknown): Fault =>
  new Fault("corrupt", {
    message: `a command about a cursor is malformed (${part})`,
    facts: { part },
    cause,
  });
