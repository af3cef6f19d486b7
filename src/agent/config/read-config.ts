/**
 * Reads a node's settings from flags, variables and a file: flag > variable > file > default. Pure except for the given
 * `readFile`. An unknown name is an error that suggests the nearest known name.
 */
import { Fault } from "../../fault.ts";
import { checkConfig } from "./check-config.ts";
import { parseYaml } from "./parse-yaml.ts";
import {
  type Config,
  keyOf,
  type Setting,
  type SettingName,
  settingNames,
  settings,
  variableOf,
} from "./settings.ts";
import { hint } from "./suggest.ts";

export type Source = "flag" | "environment" | "file" | "default";

/** The settings and their sources. */
export interface SourcedConfig {
  readonly config: Config;
  readonly sources: Readonly<Record<SettingName, Source>>;
}

export interface ConfigInput {
  readonly flags: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Reads a text file. Its error becomes the cause of a Fault "config". */
  readonly readFile: (path: string) => string;
}

type Texts = Map<SettingName, string>;

const byKey = new Map(settingNames.map((name) => [keyOf(name), name]));
/** Variables with the prefix that are not settings of a node: of the client commands and of the tests. */
const otherVariables = [
  "TAILRACE_REQUIRE",
  "TAILRACE_SEEDS",
  "TAILRACE_FUZZ_SEED",
  "TAILRACE_P12_PASSWORD",
  "TAILRACE_PROFILE",
  "TAILRACE_TLS_CA_FILE",
  "TAILRACE_TLS_CERT_FILE",
  "TAILRACE_TLS_KEY_FILE",
];

/** @throws Fault "config" with one sentence, if a name is unknown, a value malformed, or settings contradict each other */
export function readConfig(input: ConfigInput): SourcedConfig {
  const flags = readFlags(input.flags);
  const variables = readVariables(input.environment);
  const path = flags.get("configFile") ?? variables.get("configFile");
  const file = path === undefined ? new Map<SettingName, string>() : readYaml(path, input.readFile);
  const layers: readonly (readonly [Source, Texts, (name: SettingName) => string])[] = [
    ["flag", flags, (name) => `--${keyOf(name)}`],
    ["environment", variables, variableOf],
    ["file", file, (name) => `${path}, ${keyOf(name)}`],
  ];
  const config: Partial<Record<SettingName, unknown>> = {};
  const sources: Partial<Record<SettingName, Source>> = {};
  for (const name of settingNames) {
    const setting: Setting<unknown> = settings[name] as Setting<unknown>;
    const layer = layers.find(([, texts]) => texts.has(name));
    sources[name] = layer?.[0] ?? "default";
    config[name] =
      layer === undefined ? setting.value : parseAs(setting, layer[1].get(name)!, layer[2](name));
  }
  const whole = config as Config;
  checkConfig(whole);
  return { config: whole, sources: sources as Record<SettingName, Source> };
}

function parseAs(setting: Setting<unknown>, found: string, where: string): unknown {
  try {
    return setting.kind.parse(found);
  } catch (reason) {
    throw new Fault("config", { message: `${where}: ${Fault.from(reason).message}`, cause: reason });
  }
}

/** Flags of other servers, and the settings that they mean. */
const otherNames: ReadonlyMap<string, string> = new Map([
  ["port", "addr HOST:PORT"],
  ["host", "addr HOST:PORT"],
  ["listen", "addr HOST:PORT"],
  ["data", "data-dir DIRECTORY"],
  ["dir", "data-dir DIRECTORY"],
  ["config", "config-file FILE"],
  ["name", "node-name NAME"],
  ["join", "start-join-addrs HOST:PORT"],
]);

function readFlags(flags: readonly string[]): Texts {
  const texts: Texts = new Map();
  for (let at = 0; at < flags.length; at++) {
    const found = flags[at]!;
    const [, key, inline] = /^--([^=]+)(?:=([\s\S]*))?$/.exec(found) ?? [];
    if (key === undefined) throw new Fault("config", { message: `unexpected argument "${found}"` });
    const name = byKey.get(key);
    if (name === undefined) {
      const other = otherNames.get(key);
      const meant = other === undefined ? hint(key, [...byKey.keys()], "--") : `. This is --${other}`;
      throw new Fault("config", { message: `unknown flag --${key}${meant}` });
    }
    if (texts.has(name)) throw new Fault("config", { message: `--${key} is given twice` });
    if (inline !== undefined) texts.set(name, inline);
    else if (settings[name].kind.placeholder === "") texts.set(name, "true");
    else if (at + 1 < flags.length) texts.set(name, flags[++at]!);
    else throw new Fault("config", { message: `--${key} needs a value` });
  }
  return texts;
}

function readVariables(environment: ConfigInput["environment"]): Texts {
  const byVariable = new Map(settingNames.map((name) => [variableOf(name), name]));
  const texts: Texts = new Map();
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith("TAILRACE_") || value === undefined || otherVariables.includes(variable))
      continue;
    const name = byVariable.get(variable);
    if (name === undefined) {
      throw new Fault("config", {
        message: `unknown variable ${variable}${hint(variable, [...byVariable.keys()])}`,
      });
    }
    texts.set(name, value);
  }
  return texts;
}

function readYaml(path: string, readFile: ConfigInput["readFile"]): Texts {
  let tree: unknown;
  try {
    tree = parseYaml(readFile(path)) ?? {};
  } catch (reason) {
    const why = reason instanceof Error ? reason.message.split("\n")[0]?.replace(/:$/, "") : String(reason);
    throw new Fault("config", { message: `cannot read ${path}: ${why}`, cause: reason });
  }
  if (typeof tree !== "object" || tree === null || Array.isArray(tree)) {
    throw new Fault("config", { message: `${path} must be a mapping of names to values` });
  }
  const texts: Texts = new Map();
  for (const [key, value] of Object.entries(tree)) {
    const name = byKey.get(key);
    if (name === undefined || name === "configFile") {
      throw new Fault("config", { message: `${path}: unknown key ${key}${hint(key, [...byKey.keys()])}` });
    }
    const text = scalarText(value);
    if (text === undefined)
      throw new Fault("config", { message: `${path}, ${key}: expected one value or a list` });
    texts.set(name, text);
  }
  return texts;
}

/** Prints a YAML value as the text of a flag; undefined for a mapping. */
function scalarText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (!Array.isArray(value)) return undefined;
  const items = value.map(scalarText);
  return items.includes(undefined) ? undefined : items.join(",");
}
