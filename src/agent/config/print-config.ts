/**
 * The settings as text: for `config print` (a file that --config-file reads back) and for --help.
 *
 * Never: prints a secret.
 */
import type { SourcedConfig } from "./read-config.ts";
import { type Group, keyOf, type Setting, type SettingName, settingNames, settings } from "./settings.ts";

/**
 * One line a setting, each with the place it came from. Absent ones and secrets are comments; `derived` is what holds
 * where a setting is absent and the machine decides.
 */
export function printConfig(
  { config, sources }: SourcedConfig,
  derived: Partial<Record<SettingName, string>> = {},
): string {
  const lines = settingNames
    .filter((name) => name !== "configFile")
    .map((name) => {
      const setting = settings[name] as Setting<unknown>;
      const shown = setting.kind.print(config[name]);
      const own = derived[name];
      if (config[name] === undefined && own !== undefined) return `# ${keyOf(name)}: ${own}  # derived`;
      if (config[name] === undefined) return `# ${keyOf(name)}:`;
      if (setting.secret) return `# ${keyOf(name)}: (not shown)  # ${sources[name]}`;
      return `${keyOf(name)}: ${JSON.stringify(shown)}  # ${sources[name]}`;
    });
  return `${lines.join("\n")}\n`;
}

/** The flags under their headings. */
export function printFlags(): string {
  const groups = new Map<Group, string[]>();
  for (const name of settingNames) {
    const { group, kind, value, help } = settings[name] as Setting<unknown>;
    const shown = kind.print(value);
    const flag = `--${keyOf(name)} ${kind.placeholder}`.trim();
    const line = `  ${flag.padEnd(40)} ${help}${shown === "" || shown === "false" ? "" : ` (${shown})`}`;
    groups.set(group, [...(groups.get(group) ?? []), line]);
  }
  return [...groups].map(([group, lines]) => `${group}:\n${lines.join("\n")}\n`).join("\n");
}
