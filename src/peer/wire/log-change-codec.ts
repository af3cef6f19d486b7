/**
 * A change of a named log between nodes, and its result, as plain values. Pure.
 *
 *   change := [kind name id settings version life?]      null: not stated, or not a part of this kind
 *   kind   := "create" | "update" | "close" | "delete" | "check-create" | "check-update" | "touch"
 *   change := ["fork" name null settings null ref next cut]           ref: the log that is forked; cut: null for none
 *   change := ["commit-cursor" name id null version life cursor offset metadata]      null and empty for what is absent
 *   change := ["delete-cursor" name id null version life cursor]
 *   result := [created log cursor?]          log is null if it was deleted, or would be created; cursor: after a commit
 *
 * A change that is only checked has a kind of its own: a leader of an earlier version refuses it, and does not make the change.
 */
import { Fault } from "../../fault.ts";
import type { CursorInfo } from "../../lib/names/cursor-info.ts";
import { checkCursorMetadata, cursorNameOf } from "../../lib/names/cursor-name.ts";
import { namedLogOf } from "../../lib/names/log-name.ts";
import { checkedSettings, forkFrom, logNameBytesMax } from "../../log/mod.ts";
import { isWhole } from "../../replication/mod.ts";
import type { ChangedLog, LogChange, LogInfo, LogRef, NamedLogSettings } from "../../types.ts";

/** The value of a log reference: its name and its id, null if that is not stated. */
export const refToValue = ({ name, id, life }: LogRef): unknown =>
  life === undefined ? [name, id ?? null] : [name, id ?? null, life];

/** Returns the reference; undefined for anything else. */
export function refFromValue(value: unknown): LogRef | undefined {
  const [name, id, life = null] = Array.isArray(value) ? (value as unknown[]) : [];
  if (typeof name !== "string" || name === "" || Buffer.byteLength(name) > logNameBytesMax) return undefined;
  if (id === null) return { name };
  if (!isWhole(id) || id > 0xffff_ffff || !(life === null || isWhole(life))) return undefined;
  return life === null ? { name, id } : { name, id, life };
}

export function changeToValue(change: LogChange): unknown {
  const kind = "validateOnly" in change && change.validateOnly ? `check-${change.kind}` : change.kind;
  if (change.kind === "create") return [kind, change.name, null, change.settings, null];
  if (change.kind === "fork") {
    const { name, settings, source, at } = change;
    return [kind, name, null, settings, null, refToValue(source), at.next, at.cut ?? null];
  }
  const { name, id, life } = change.log;
  const settings = change.kind === "update" ? change.settings : null;
  const fields = [kind, name, id ?? null, settings, change.version ?? null];
  if (change.kind === "commit-cursor")
    return [...fields, life ?? null, change.cursor, change.offset, change.metadata ?? ""];
  if (change.kind === "delete-cursor") return [...fields, life ?? null, change.cursor];
  return life === undefined ? fields : [...fields, life];
}

/**
 * A create gets the checks that the name from a client gets: the leader decides, and the peer may be of another version.
 * @throws Fault "bad-request" if the value is not a change of a log
 */
export function changeFromValue(value: unknown): LogChange {
  const [kind, name, id, settings, version, life, cursor, offset, metadata] = Array.isArray(value)
    ? (value as unknown[])
    : [];
  if (kind === "fork") return forkFromValue(value as unknown[]);
  const log = refFromValue([name, id, life ?? null]);
  if (log === undefined || !(version === null || isWhole(version))) throw malformed();
  const ofVersion = version === null ? {} : { version };
  const isCreate = kind === "create" || kind === "check-create";
  if (isCreate && namedLogOf(log.name) === undefined) throw malformed();
  switch (kind) {
    case "create":
      return { kind, name: log.name, settings: settingsFrom(settings) };
    case "check-create":
      return { kind: "create", name: log.name, settings: settingsFrom(settings), validateOnly: true };
    case "update":
      return { kind, log, settings: changeFrom(settings), ...ofVersion };
    case "check-update":
      return { kind: "update", log, settings: changeFrom(settings), ...ofVersion, validateOnly: true };
    case "close":
    case "delete":
    case "touch":
      return { kind, log, ...ofVersion };
    case "commit-cursor":
      if (!isWhole(offset) || typeof metadata !== "string") throw malformed();
      checkCursorMetadata(metadata);
      return { kind, log, cursor: cursorFrom(cursor), offset, metadata, ...ofVersion };
    case "delete-cursor":
      return { kind, log, cursor: cursorFrom(cursor), ...ofVersion };
    default:
      throw malformed();
  }
}

function cursorFrom(value: unknown): string {
  if (typeof value !== "string") throw malformed();
  return cursorNameOf(value);
}

function forkFromValue([, name, , settings, , ref, next, cut]: readonly unknown[]): LogChange {
  const source = refFromValue(ref);
  const checked = typeof name === "string" ? namedLogOf(name) : undefined;
  if (checked === undefined || source?.id === undefined) throw malformed();
  const fork = forkFrom({ source: source.id, next, ...(cut === null ? {} : { cut }) });
  if (fork === undefined) throw malformed();
  const { source: _, ...at } = fork;
  return { kind: "fork", name: checked, settings: settingsFrom(settings), source, at };
}

export const changedToValue = ({ created, log, cursor }: ChangedLog): unknown =>
  cursor === undefined ? [created, log ?? null] : [created, log ?? null, cursor];

/** @throws Fault "unknown" if the value is not a result: the log may have been changed */
export function changedFromValue(value: unknown): ChangedLog {
  const [created, log, cursor] = Array.isArray(value) ? (value as unknown[]) : [];
  const info = infoFrom(log);
  const isWrong = (log !== null && info === undefined) || !(cursor === undefined || isCursorInfo(cursor));
  if (typeof created !== "boolean" || isWrong) {
    throw new Fault("unknown", { message: "the leader's response is invalid", written: "unknown" });
  }
  return cursor === undefined ? { created, log: info } : { created, log: info, cursor };
}

/** Returns the description of a log; undefined for anything else. */
function infoFrom(value: unknown): LogInfo | undefined {
  if (!isInfo(value)) return undefined;
  try {
    return { ...value, settings: checkedSettings(value.settings) };
  } catch {
    return undefined;
  }
}

/** Everything but the settings is checked. */
function isInfo(value: unknown): value is LogInfo {
  if (typeof value !== "object" || value === null) return false;
  const { name, owner, closed, fork, ...numbers } = value as Record<string, unknown>;
  return (
    (fork === undefined || forkFrom(fork) !== undefined) &&
    typeof name === "string" &&
    typeof closed === "boolean" &&
    (owner === undefined || typeof owner === "string") &&
    infoNumbers.every((field) => isWhole(numbers[field]))
  );
}

function isCursorInfo(value: unknown): value is CursorInfo {
  if (typeof value !== "object" || value === null) return false;
  const { name, metadata, owner, ...numbers } = value as Record<string, unknown>;
  return (
    typeof name === "string" &&
    typeof metadata === "string" &&
    (owner === undefined || typeof owner === "string") &&
    cursorNumbers.every((field) => isWhole(numbers[field]))
  );
}

const cursorNumbers = ["log", "life", "offset", "version", "createdMs", "committedMs"] as const;
const infoNumbers = ["id", "life", "version", "bytes", "createdMs", "lastMs", "lowest", "next"] as const;

function settingsFrom(value: unknown): NamedLogSettings {
  try {
    return checkedSettings(value);
  } catch (cause) {
    throw malformed(cause);
  }
}

/** A change of settings: null removes one. */
function changeFrom(value: unknown): Extract<LogChange, { kind: "update" }>["settings"] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed();
  const entries = Object.entries(value);
  const kept = settingsFrom(Object.fromEntries(entries.filter(([, one]) => one !== null)));
  const removed = entries.filter(([key, one]) => one === null && !(key in kept)).map(([key]) => [key, null]);
  return { ...kept, ...(Object.fromEntries(removed) as Record<string, null>) };
}

const malformed = (cause?: unknown): Fault =>
  new Fault("bad-request", { message: "the peer's change of a log is malformed", cause });
