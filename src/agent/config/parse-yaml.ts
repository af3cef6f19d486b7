/**
 * YAML, loaded only by those who have a configuration file: 72 modules, a sixth of what a node loads at its start.
 *
 * Never: reads a file.
 */
import { createRequire } from "node:module";

/** What the text stands for. Throws what the yaml package throws. */
export function parseYaml(text: string): unknown {
  const yaml = createRequire(import.meta.url)("yaml") as typeof import("yaml");
  return yaml.parse(text);
}
