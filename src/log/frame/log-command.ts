/**
 * The commands about named logs, and the level. Pure.
 *
 *   create     := { "name": …, "settings": {…}, "owner": subject, "fork": fork }      the frame holds the new id; owner and fork can be absent
 *   fork       := { "source": id, "lowest": …, "next": …, "cut": bytes }    what the log shows of another one; cut can be absent
 *   configure  := { "settings": {…} }                 all settings after the change
 *   close      := nothing
 *   delete     := nothing, or { "version": … }        passed over if a later batch about the log exists
 *   hide       := as delete                           the log is deleted for its clients, and kept for its forks
 *   touch      := nothing                             a client has read the log: its time to live begins again
 *   trim       := { "from": lowest before, "to": lowest after, "bytes": removed }
 *   level      := { "level": …, "life": … }
 *
 * They are JSON objects. A command states its effect: applying it decides nothing. Unknown keys are ignored.
 */

import { Fault } from "../../fault.ts";
import { numberSettings } from "../../lib/named-log-settings.ts";
import type { LogFork, NamedLogSettings, Offset, RaftIndex } from "../../types.ts";
import { subjectBytesMax } from "./frame.ts";

export interface CreateCommand {
  readonly name: string;
  readonly settings: NamedLogSettings;
  /** The subject that creates it: its quotas count the log. */
  readonly owner?: string;
  readonly fork?: ForkCommand;
}

/** A new log that begins with the records of another one, of which it can show the first ones no more. */
export interface ForkCommand extends LogFork {
  /** The first offset that it shows. */
  readonly lowest: Offset;
}

export interface TrimCommand {
  readonly from: Offset;
  readonly to: Offset;
  readonly bytes: number;
}

/** The level at which a cluster has named logs. */
export const namedLogsLevel = 1;
/** The level at which the members of a cluster may send settled frames to each other. */
export const settledLevel = 3;
/** The level at which logs can be forked, and a read can extend their time to live. */
export const forksLevel = 4;
/** The level at which a cluster has cursors. */
export const cursorsLevel = 5;
/** The level at which the cluster keeps a log of its own for the keys and the revocations of tokens. */
export const tokensLevel = 5;
/** The highest level that this version has. */
export const highestLevel = Math.max(settledLevel, forksLevel, cursorsLevel, tokensLevel);

export interface LevelCommand {
  /** The features that all members have. 1: named logs. 2: streams. 3: settled frames. 4: forks, and reads that extend a life. 5: cursors and tokens. */
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
  const { name, settings, owner, fork } = objectOf(command);
  demand(typeof name === "string" && name !== "" && Buffer.byteLength(name) <= logNameBytesMax, "name");
  demand(owner === undefined || isOwner(owner), "owner");
  return {
    name,
    settings: checkedSettings(settings),
    ...(owner === undefined ? {} : { owner }),
    ...(fork === undefined ? {} : { fork: forkCommandFrom(fork) }),
  };
}

function forkCommandFrom(value: unknown): ForkCommand {
  const fork = forkFrom(value);
  const { lowest } = value as Readonly<Record<string, unknown>>;
  demand(fork !== undefined && isWhole(lowest) && lowest <= fork.next, "fork");
  demand(fork.cut === undefined || lowest < fork.next, "fork");
  return { ...fork, lowest };
}

/** Returns the value if it is where a log was forked; undefined for anything else. */
export function forkFrom(value: unknown): LogFork | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { source, next, cut } = value as Readonly<Record<string, unknown>>;
  if (!isWhole(source) || source === 0 || source > 0xffff_ffff || !isWhole(next)) return undefined;
  if (cut === undefined) return { source, next };
  return isWhole(cut) && next > 0 ? { source, next, cut } : undefined;
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
