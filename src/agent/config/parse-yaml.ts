/**
 * Loads the YAML parser on first use. It has 72 modules, a sixth of those that a node loads at start, and only a node with
 * a configuration file needs it.
 */
import { createRequire } from "node:module";

type Yaml = typeof import("yaml");

export const loadYaml = (): Yaml => createRequire(import.meta.url)("yaml") as Yaml;

/** Parses YAML text. @throws the errors of the yaml package */
export const parseYaml = (text: string): unknown => loadYaml().parse(text);
