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
import type { Document, Node, Pair } from "yaml";
import { namedLogOf, parseSetting, type TextSetting, textSettings } from "../../api/mod.ts";
import { Fault } from "../../fault.ts";
import type { SettingsChange } from "../../types.ts";
import { loadYaml } from "../config/parse-yaml.ts";
import { hint } from "../config/suggest.ts";

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
  if (Buffer.byteLength(text) > specBytesMax)
    throw wrong(file, undefined, `is larger than ${specBytesMax} bytes`);
  return new SpecReader(text, file).specs();
}

const byName: ReadonlyMap<string, TextSetting> = new Map(
  textSettings.map((setting) => [setting.name, setting]),
);

function unknownSetting(name: string, key: string): string {
  const known = [...byName.keys()];
  return `log "${name}" has no setting "${key}"${hint(key, known) || "."} The settings are ${known.join(", ")}`;
}

/** Aliases that a file may use. */
const aliasesMax = 256;

class SpecReader {
  readonly #file: string;
  readonly #yaml = loadYaml();
  readonly #lines: InstanceType<ReturnType<typeof loadYaml>["LineCounter"]>;
  readonly #document: Document;
  #aliases = 0;

  constructor(text: string, file: string) {
    this.#file = file;
    this.#lines = new this.#yaml.LineCounter();
    this.#document = this.#yaml.parseDocument(text, {
      lineCounter: this.#lines,
      uniqueKeys: false,
      prettyErrors: false,
    });
    const [error] = this.#document.errors;
    if (error !== undefined) throw this.#wrong(this.#lines.linePos(error.pos[0]).line, error.message);
  }

  specs(): readonly LogSpec[] {
    const top = this.#entries(this.#document.contents, "the file must be a mapping with the key logs");
    for (const { key, line } of top)
      if (key !== "logs")
        throw this.#wrong(
          line,
          `unknown key "${key}"${hint(key, ["logs"]) || ". Names of logs are below the key logs"}`,
          key,
        );
    const logs = top.find(({ key }) => key === "logs");
    if (logs === undefined) throw this.#wrong(1, "the file must have the key logs", "logs");
    return this.#entries(logs.value, "logs must be a mapping of names to settings", logs.line).map(
      ({ key: name, value, line }) => {
        this.#checkName(name, line);
        return { name, line, settings: this.#settings(name, value, line) };
      },
    );
  }

  #checkName(name: string, line: number): void {
    try {
      if (namedLogOf(name) !== undefined) return;
    } catch (reason) {
      throw this.#wrong(line, `"${name}": ${Fault.from(reason).message}`, "name");
    }
    const why =
      name === "" ? "the name of a log is empty" : `the log "${name}" has the settings of the cluster`;
    throw this.#wrong(line, why, "name");
  }

  #settings(name: string, node: unknown, at: number): SettingsChange {
    const settings: Partial<Record<TextSetting["key"], string | number | null>> = {};
    const what = `the settings of "${name}" must be a mapping`;
    for (const { key, value, line } of this.#entries(node, what, at)) {
      const setting = byName.get(key);
      if (setting === undefined) throw this.#wrong(line, unknownSetting(name, key), key);
      settings[setting.key] = this.#value(name, setting, value, line);
    }
    return settings as SettingsChange;
  }

  #value(name: string, setting: TextSetting, node: unknown, line: number): string | number | null {
    const { isScalar } = this.#yaml;
    const found = this.#resolved(node);
    const value = found === null ? null : isScalar(found) ? found.value : undefined;
    if (value === null) return null;
    try {
      if (typeof value === "string" || typeof value === "number") return parseSetting(setting, String(value));
    } catch (reason) {
      throw this.#wrong(line, `log "${name}": ${Fault.from(reason).message}`, setting.name);
    }
    throw this.#wrong(line, `log "${name}": ${setting.name} must be one value`, setting.name);
  }

  /** The entries of a mapping. None or null is an empty one. */
  #entries(node: unknown, what: string, line = 1): { key: string; value: unknown; line: number }[] {
    const { isMap, isScalar } = this.#yaml;
    const found = this.#resolved(node);
    if (found === null || (isScalar(found) && found.value === null)) return [];
    if (!isMap(found)) throw this.#wrong(line, what);
    const keys = new Set<string>();
    return found.items.map(({ key, value }: Pair) => {
      const at = isScalar(key) && key.range ? this.#lines.linePos(key.range[0]).line : line;
      const text = isScalar(key) ? key.value : undefined;
      if (typeof text !== "string" && typeof text !== "number") throw this.#wrong(at, "a key must be a text");
      if (keys.has(String(text))) throw this.#wrong(at, `"${text}" is listed twice`);
      keys.add(String(text));
      return { key: String(text), value, line: at };
    });
  }

  /** To resolve an alias, the library walks over the whole document. */
  #countAlias(alias: Node): void {
    if (++this.#aliases <= aliasesMax) return;
    const { line } = this.#lines.linePos(alias.range?.[0] ?? 0);
    throw this.#wrong(line, `the file has more than ${aliasesMax} aliases`);
  }

  /** The node that an alias means. */
  #resolved(node: unknown): Node | null {
    const { isAlias, isNode } = this.#yaml;
    if (isAlias(node)) {
      this.#countAlias(node);
      const meant = node.resolve(this.#document);
      if (meant !== undefined) return meant;
      throw this.#wrong(
        this.#lines.linePos(node.range?.[0] ?? 0).line,
        `there is no anchor "${node.source}"`,
      );
    }
    return isNode(node) ? node : null;
  }

  #wrong(line: number, why: string, field?: string): Fault {
    return wrong(this.#file, line, why, field);
  }
}

function wrong(file: string, line: number | undefined, why: string, field?: string): Fault {
  const at = line === undefined ? "" : ` line ${line}`;
  return new Fault("config", {
    message: `${file}${at}: ${why}`,
    facts: {
      usage: true,
      file,
      ...(line === undefined ? {} : { line }),
      ...(field === undefined ? {} : { field }),
    },
  });
}
