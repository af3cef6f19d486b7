/**
 * The commands about named logs, and the level. Pure.
 *
 *   create     := { "name": …, "settings": {…}, "owner": subject }      the frame holds the new id; the owner can be absent
 *   configure  := { "settings": {…} }                 all settings after the change
 *   close      := nothing
 *   delete     := nothing, or { "version": … }        passed over if a later batch about the log exists
 *   trim       := { "from": lowest before, "to": lowest after, "bytes": removed }
 *   level      := { "level": …, "life": … }
 *
 * They are JSON objects. A command states its effect: applying it decides nothing. Unknown keys are ignored.
 */

import { Fault } from "../../fault.ts";
import { numberSettings } from "../../lib/named-log-settings.ts";
import type { NamedLogSettings, Offset, RaftIndex } from "../../types.ts";
import { subjectBytesMax } from "./frame.ts";

export interface CreateCommand {
  readonly name: string;
  readonly settings: NamedLogSettings;
  /** The subject that creates it: its quotas count the log. */
  readonly owner?: string;
}

export interface TrimCommand {
  readonly from: Offset;
  readonly to: Offset;
  readonly bytes: number;
}

/** The level at which a cluster has named logs: the highest one that this version has. */
export const namedLogsLevel = 1;

export interface LevelCommand {
  /** The features that all members have. 1: named logs. */
  readonly level: number;
  /** Drawn again whenever ids may be given a second time: see replication/logs/cluster-life.ts. */
  readonly life: number;
}

/** The longest name of a log, and the longest media type, in bytes. */
export const logNameBytesMax = 255;

export const encodeLogCommand = (
  command:
    | CreateCommand
    | { readonly settings: NamedLogSettings }
    | TrimCommand
    | LevelCommand
    | { readonly version: RaftIndex },
): Uint8Array => Buffer.from(JSON.stringify(command));

/** @throws Fault "corrupt" */
export function decodeCreate(command: Uint8Array): CreateCommand {
  const { name, settings, owner } = objectOf(command);
  demand(typeof name === "string" && name !== "" && Buffer.byteLength(name) <= logNameBytesMax, "name");
  const checked = { name, settings: checkedSettings(settings) };
  if (owner === undefined) return checked;
  demand(isOwner(owner), "owner");
  return { ...checked, owner };
}

/** @throws Fault "corrupt" */
export function decodeConfigure(command: Uint8Array): NamedLogSettings {
  return checkedSettings(objectOf(command)["settings"]);
}

/** @throws Fault "corrupt" */
export function decodeLogTrim(command: Uint8Array): TrimCommand {
  const { from, to, bytes } = objectOf(command);
  demand(isWhole(from) && isWhole(to) && isWhole(bytes) && from < to, "trim");
  return { from, to, bytes };
}

/** Returns the version up to which a log is deleted; undefined for any. @throws Fault "corrupt" */
export function decodeDelete(command: Uint8Array): RaftIndex | undefined {
  if (command.length === 0) return undefined;
  const { version } = objectOf(command);
  demand(isWhole(version), "version");
  return version;
}

/** @throws Fault "corrupt" */
export function decodeLevel(command: Uint8Array): LevelCommand {
  const { level, life } = objectOf(command);
  demand(isWhole(level) && isWhole(life), "level");
  return { level, life };
}

/** Returns true for a value that can be the owner of a log. */
export const isOwner = (value: unknown): value is string =>
  typeof value === "string" && value !== "" && Buffer.byteLength(value) <= subjectBytesMax;

/** Returns the value if it is the settings of a log. Unknown keys are dropped. @throws Fault "corrupt" */
export function checkedSettings(value: unknown): NamedLogSettings {
  demand(typeof value === "object" && value !== null && !Array.isArray(value), "settings");
  const given = value as Readonly<Record<string, unknown>>;
  const settings: { -readonly [K in keyof NamedLogSettings]: NamedLogSettings[K] } = {};
  for (const key of numberSettings) {
    const found = given[key];
    if (found === undefined) continue;
    demand(isWhole(found), key);
    settings[key] = found;
  }
  const { contentType } = given;
  if (contentType !== undefined) {
    demand(
      typeof contentType === "string" && Buffer.byteLength(contentType) <= logNameBytesMax,
      "contentType",
    );
    settings.contentType = contentType;
  }
  return settings;
}

function objectOf(command: Uint8Array): Readonly<Record<string, unknown>> {
  let found: unknown;
  try {
    found = JSON.parse(Buffer.from(command).toString());
  } catch (cause) {
    throw malformed("JSON", cause);
  }
  demand(typeof found === "object" && found !== null && !Array.isArray(found), "object");
  return found as Readonly<Record<string, unknown>>;
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function demand(holds: boolean, part: string): asserts holds {
  if (!holds) throw malformed(part);
}

const malformed = (part: string, cause?: unknown): Fault =>
  new Fault("corrupt", { message: `a command about a log is malformed (${part})`, facts: { part }, cause });
