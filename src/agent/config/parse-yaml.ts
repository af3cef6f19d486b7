/**
 * Loads the YAML parser on first use. It has 72 modules, a sixth of those that a node loads at start, and only a node with
 * a configuration file needs it.
 */
import { createRequire } from "node:module";

/** Parses YAML text. @throws the errors of the yaml package */
export function parseYaml(text: string): unknown {
  const yaml = createRequire(import.meta.url)("yaml") as typeof import("yaml");
  return yaml.parse(text);
}
