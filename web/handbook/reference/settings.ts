/** The settings of a node, from the table that `tailrace serve` reads. */
import {
  type Group,
  keyOf,
  type Setting,
  settingNames,
  settings,
} from "../../../src/agent/config/settings.ts";
import { code, plain, table } from "./table.ts";

export function settingTables(): string {
  const groups = new Map<Group, string[][]>();
  for (const name of settingNames) {
    const { group, kind, value, help } = settings[name] as Setting<unknown>;
    const row = [code(`--${keyOf(name)} ${kind.placeholder}`.trim()), code(kind.print(value)), plain(help)];
    groups.set(group, [...(groups.get(group) ?? []), row]);
  }
  return [...groups]
    .map(([group, rows]) => `## ${group}\n\n${table(["flag", "default", "meaning"], rows)}`)
    .join("\n\n");
}
