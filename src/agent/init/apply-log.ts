/**
 * Makes one named log what a file says (log-spec.ts): creates it, or changes the settings that differ. Doing it again changes
 * nothing.
 */
import { printSetting, textSettings } from "../../api/mod.ts";
import { Fault } from "../../fault.ts";
import type { NamedLogSettings, SettingsChange } from "../../types.ts";
import type { LogSpec } from "./log-spec.ts";

/** A log that is there. `id` is how the port states it in a change. */
export interface FoundLog {
  readonly id: string | number;
  readonly settings: NamedLogSettings;
}

/** Where the logs are. */
export interface LogsPort {
  /** Resolves to undefined if there is no log of this name. */
  find(name: string): Promise<FoundLog | undefined>;
  /** @throws Fault "already-exists" */
  create(name: string, settings: NamedLogSettings): Promise<void>;
  update(name: string, id: FoundLog["id"], change: SettingsChange): Promise<void>;
}

/** Where the leader can be asked what it would refuse. */
export interface CheckedLogsPort extends LogsPort {
  /** Checks a create, and changes nothing. @throws as create() */
  checkCreate(name: string, settings: NamedLogSettings): Promise<void>;
  /** Checks an update, and changes nothing. @throws as update() */
  checkUpdate(name: string, id: FoundLog["id"], change: SettingsChange): Promise<void>;
}

/** What was done, or is to be done. The settings are texts as in the file; null is the value of the cluster. */
export type AppliedLog = { readonly name: string } & (
  | { readonly result: "created"; readonly settings: Readonly<Record<string, string>> }
  | {
      readonly result: "updated";
      readonly changed: Readonly<
        Record<string, { readonly from: string | null; readonly to: string | null }>
      >;
    }
  | { readonly result: "unchanged" }
);

/**
 * Returns what has to be done with a log; `known` are its settings, undefined if it is not there. Pure.
 */
export function planFor({ name, settings }: LogSpec, known: NamedLogSettings | undefined): AppliedLog {
  const stated = textSettings.filter(({ key }) => settings[key] !== undefined);
  if (known === undefined) {
    const texts = stated.flatMap((setting) => {
      const value = settings[setting.key];
      return value == null ? [] : [[setting.name, printSetting(setting, value)] as const];
    });
    return { name, result: "created", settings: Object.fromEntries(texts) };
  }
  const changed = stated.flatMap((setting) => {
    const [from, to] = [known[setting.key] ?? null, settings[setting.key] ?? null];
    const text = (value: string | number | null): string | null =>
      value === null ? null : printSetting(setting, value);
    return from === to ? [] : [[setting.name, { from: text(from), to: text(to) }] as const];
  });
  if (changed.length === 0) return { name, result: "unchanged" };
  return { name, result: "updated", changed: Object.fromEntries(changed) };
}

/**
 * Applies what a file says about one log.
 * @throws the faults of the port
 */
export async function applyLog(port: LogsPort, spec: LogSpec): Promise<AppliedLog> {
  const { name, settings } = spec;
  let found = await port.find(name);
  let plan = planFor(spec, found?.settings);
  if (plan.result === "created") {
    try {
      await port.create(name, withoutNulls(settings));
      return plan;
    } catch (reason) {
      if (!(reason instanceof Fault) || reason.kind !== "already-exists") throw reason;
    }
    // It was created in the meantime.
    found = await port.find(name);
    plan = planFor(spec, found?.settings);
  }
  if (plan.result === "updated" && found !== undefined)
    await port.update(name, found.id, changeOf(plan, settings));
  return plan;
}

/**
 * Returns what applyLog() would return, and changes nothing. The leader checks the change: permissions, limits, quotas and
 * times. It checks each log by itself.
 * @throws the faults of the port
 */
export async function checkLog(port: CheckedLogsPort, spec: LogSpec): Promise<AppliedLog> {
  const { name, settings } = spec;
  const found = await port.find(name);
  const plan = planFor(spec, found?.settings);
  if (plan.result === "created") await port.checkCreate(name, withoutNulls(settings));
  if (plan.result === "updated" && found !== undefined)
    await port.checkUpdate(name, found.id, changeOf(plan, settings));
  return plan;
}

/** The settings that an update changes. */
function changeOf(
  { changed }: Extract<AppliedLog, { result: "updated" }>,
  settings: SettingsChange,
): SettingsChange {
  const differs = textSettings.filter(({ name }) => name in changed);
  return Object.fromEntries(differs.map(({ key }) => [key, settings[key]])) as SettingsChange;
}

const withoutNulls = (settings: SettingsChange): NamedLogSettings =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null)) as NamedLogSettings;
