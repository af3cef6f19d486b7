/**
 * Files that list named logs with their settings, in YAML or JSON, for `tailrace logs apply` and `serve --init-file`. Pure.
 *
 *   logs:
 *     orders/eu:                 # the name of a log
 *       retention-age: 7d        # settings as in the flags of `tailrace logs create`
 *       max-bytes: null          # the value of the cluster
 *     audit:                     # no settings
 *
 * A setting that the file does not state is left as it is. A file deletes nothing.
 */
import { namedLogOf, parseSetting, type TextSetting, textSettings } from "../../api/mod.ts";
import { Fault } from "../../fault.ts";
import type { SettingsChange } from "../../types.ts";
import { hint } from "../config/suggest.ts";
import { YamlFile } from "../config/yaml-file.ts";

/** What a file says about one log. */
export interface LogSpec {
  readonly name: string;
  /** The line of its name in the file. */
  readonly line: number;
  /** null: the value of the cluster. */
  readonly settings: SettingsChange;
}

/** Largest file, in bytes. */
export const specBytesMax = 4 * 2 ** 20;

/** @throws Fault "config" that names file and line, and the log and its field */
export function parseLogSpec(text: string, file: string): readonly LogSpec[] {
  return new SpecReader(new YamlFile(text, file, { bytesMax: specBytesMax })).specs();
}

const byName: ReadonlyMap<string, TextSetting> = new Map(
  textSettings.map((setting) => [setting.name, setting]),
);

function unknownSetting(name: string, key: string): string {
  const known = [...byName.keys()];
  return `log "${name}" has no setting "${key}"${hint(key, known) || "."} The settings are ${known.join(", ")}`;
}

class SpecReader {
  readonly #file: YamlFile;

  constructor(file: YamlFile) {
    this.#file = file;
  }

  specs(): readonly LogSpec[] {
    const top = this.#file.top("the file must be a mapping with the key logs");
    for (const { key, line } of top)
      if (key !== "logs")
        throw this.#file.wrong(
          line,
          `unknown key "${key}"${hint(key, ["logs"]) || ". Names of logs are below the key logs"}`,
          key,
        );
    const logs = top.find(({ key }) => key === "logs");
    if (logs === undefined) throw this.#file.wrong(1, "the file must have the key logs", "logs");
    return this.#file
      .entries(logs.value, "logs must be a mapping of names to settings", logs.line)
      .map(({ key: name, value, line }) => {
        this.#checkName(name, line);
        return { name, line, settings: this.#settings(name, value, line) };
      });
  }

  #checkName(name: string, line: number): void {
    try {
      if (namedLogOf(name) !== undefined) return;
    } catch (reason) {
      throw this.#file.wrong(line, `"${name}": ${Fault.from(reason).message}`, "name");
    }
    const why =
      name === "" ? "the name of a log is empty" : `the log "${name}" has the settings of the cluster`;
    throw this.#file.wrong(line, why, "name");
  }

  #settings(name: string, node: unknown, at: number): SettingsChange {
    const settings: Partial<Record<TextSetting["key"], string | number | null>> = {};
    const what = `the settings of "${name}" must be a mapping`;
    for (const { key, value, line } of this.#file.entries(node, what, at)) {
      const setting = byName.get(key);
      if (setting === undefined) throw this.#file.wrong(line, unknownSetting(name, key), key);
      settings[setting.key] = this.#value(name, setting, value, line);
    }
    return settings as SettingsChange;
  }

  #value(name: string, setting: TextSetting, node: unknown, line: number): string | number | null {
    const value = this.#file.scalar(node);
    if (value === null) return null;
    try {
      if (typeof value === "string" || typeof value === "number") return parseSetting(setting, String(value));
    } catch (reason) {
      throw this.#file.wrong(line, `log "${name}": ${Fault.from(reason).message}`, setting.name);
    }
    throw this.#file.wrong(line, `log "${name}": ${setting.name} must be one value`, setting.name);
  }
}
