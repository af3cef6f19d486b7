/**
 * Reads a YAML or JSON file of mappings with the line of each key, so that a message about it names file and line. Pure.
 */
import type { Document, Node, Pair } from "yaml";
import { Fault } from "../../fault.ts";
import { loadYaml } from "./parse-yaml.ts";

export interface YamlEntry {
  readonly key: string;
  readonly value: unknown;
  /** The line of the key. */
  readonly line: number;
}

export interface YamlFileOptions {
  /** With true, no message quotes more of the file than a short word, in case it is another one, such as a key. Default false. */
  readonly secret?: boolean;
  /** Largest text, in bytes. */
  readonly bytesMax: number;
}

/** Aliases that a file may use. */
const aliasesMax = 256;

export class YamlFile {
  readonly #file: string;
  readonly #secret: boolean;
  readonly #yaml = loadYaml();
  readonly #lines: InstanceType<ReturnType<typeof loadYaml>["LineCounter"]>;
  readonly #document: Document;
  #aliases = 0;

  /** @throws Fault "config" that names file and line */
  constructor(text: string, file: string, { secret = false, bytesMax }: YamlFileOptions) {
    this.#file = file;
    this.#secret = secret;
    if (Buffer.byteLength(text) > bytesMax)
      throw fileFault(file, undefined, `is larger than ${bytesMax} bytes`);
    this.#lines = new this.#yaml.LineCounter();
    this.#document = this.#yaml.parseDocument(text, {
      lineCounter: this.#lines,
      uniqueKeys: false,
      prettyErrors: false,
    });
    const [error] = this.#document.errors;
    if (error === undefined) return;
    const { line } = this.#lines.linePos(error.pos[0]);
    throw this.wrong(line, secret ? `the YAML is not valid (${error.code})` : error.message);
  }

  /** The entries of the file. @throws Fault "config" if it is not a mapping: `what` says what is expected */
  top(what: string): readonly YamlEntry[] {
    return this.entries(this.#document.contents, what);
  }

  /** The entries of a mapping. None or null is an empty one. @throws Fault "config" */
  entries(node: unknown, what: string, line = 1): readonly YamlEntry[] {
    const { isMap, isScalar } = this.#yaml;
    const found = this.#resolved(node);
    if (found === null || (isScalar(found) && found.value === null)) return [];
    if (!isMap(found)) throw this.wrong(line, what);
    const keys = new Set<string>();
    return found.items.map(({ key, value }: Pair) => {
      const at = isScalar(key) && key.range ? this.#lines.linePos(key.range[0]).line : line;
      const text = isScalar(key) ? key.value : undefined;
      if (typeof text !== "string" && typeof text !== "number") throw this.wrong(at, "a key must be a text");
      if (keys.has(String(text))) throw this.wrong(at, `${this.quoted(String(text))} is listed twice`);
      keys.add(String(text));
      return { key: String(text), value, line: at };
    });
  }

  /** The value of a scalar; null for none, undefined for a mapping or a list. */
  scalar(node: unknown): unknown {
    const found = this.#resolved(node);
    return found === null ? null : this.#yaml.isScalar(found) ? found.value : undefined;
  }

  /** The text in quotes. In a file that may be secret, a text that is not a short word is left out. */
  quoted(text: string): string {
    return this.#secret && !/^[\w.-]{1,40}$/.test(text) ? "a text that is not shown" : `"${text}"`;
  }

  /** The fault of this line. `field` is a fact. */
  wrong(line: number, why: string, field?: string): Fault {
    return fileFault(this.#file, line, why, field);
  }

  /** To resolve an alias, the library walks over the whole document. */
  #countAlias(alias: Node): void {
    if (++this.#aliases <= aliasesMax) return;
    throw this.wrong(this.#lineOf(alias), `the file has more than ${aliasesMax} aliases`);
  }

  /** The node that an alias means. */
  #resolved(node: unknown): Node | null {
    const { isAlias, isNode } = this.#yaml;
    if (isAlias(node)) {
      this.#countAlias(node);
      const meant = node.resolve(this.#document);
      if (meant !== undefined) return meant;
      throw this.wrong(this.#lineOf(node), `there is no anchor ${this.quoted(node.source)}`);
    }
    return isNode(node) ? node : null;
  }

  #lineOf(node: Node): number {
    return this.#lines.linePos(node.range?.[0] ?? 0).line;
  }
}

function fileFault(file: string, line: number | undefined, why: string, field?: string): Fault {
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
