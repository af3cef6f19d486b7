/**
 * Prints the settings for `config print` (as a file that --config-file reads back) and for --help. Secrets are not
 * printed.
 */
import type { SourcedConfig } from "./read-config.ts";
import { type Group, keyOf, type Setting, type SettingName, settingNames, settings } from "./settings.ts";

/**
 * Prints one line per setting with its source. Absent settings and secrets are comments. `derived` has the values of
 * absent settings that depend on the machine.
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

/** Prints the flags in groups, each with its help text and default. */
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
