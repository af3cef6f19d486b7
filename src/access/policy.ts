/**
 * Parses a policy file strictly. Casbin skips invalid lines. A skipped rule is a missing permission or a missing
 * protection, so here it is an error that names the line.
 *
 *   line := ptype "," field ("," field)* | "#" comment | blank
 *
 * A long file is read in slices with a pause after each, so that reading it does not hold the event loop.
 */
import { Fault } from "../fault.ts";
import { YieldPoints } from "../lib/time/yield-points.ts";
import { actions, isAction } from "./identity.ts";
import { isLogPattern } from "./log-match.ts";

export interface PolicyLine {
  /** `p`, `g`, `p2`, … */
  readonly kind: string;
  readonly fields: readonly string[];
  /** From 1. */
  readonly line: number;
}

/** What a model defines about a kind of line. */
export interface LineShape {
  readonly fields: number;
  /** Index of the field that is the action, if there is one. */
  readonly action?: number | undefined;
  /** The action is compared for equality, so it must be an existing one, or `*`. */
  readonly strict?: boolean;
  /** Index of the field that is a log's name or a prefix, if the model calls `logMatch`. */
  readonly logPattern?: number | undefined;
}

/** The lines that a model defines, by kind. */
export type Shape = ReadonlyMap<string, LineShape>;

/**
 * Returns the lines of `text`.
 *
 * @throws Fault "config" that names the line, for a kind that the model lacks, a wrong number of fields, an unmatched
 *   quote, an action that does not exist, or an object with a wildcard other than `*` at its end
 */
export async function parsePolicy(text: string, shape: Shape, name = "policy"): Promise<PolicyLine[]> {
  const lines: PolicyLine[] = [];
  const yieldPoints = new YieldPoints();
  let number = 0;
  for (let start = 0; start <= text.length; ) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    number++;
    const line = parseLine(text.slice(start, end).trim(), number, shape, name);
    if (line !== undefined) lines.push(line);
    start = end + 1;
    await yieldPoints.next();
  }
  return lines;
}

function parseLine(trimmed: string, line: number, shape: Shape, name: string): PolicyLine | undefined {
  if (trimmed === "" || trimmed.startsWith("#")) return undefined;
  const wrong = (why: string): Fault =>
    new Fault("config", { message: `${name} line ${line} ${why}`, facts: { line, text: trimmed } });
  const split = splitFields(trimmed);
  if (split === undefined) throw wrong("has a quote that is unmatched or inside a field");
  const [kind = "", ...fields] = split;
  const expected = shape.get(kind);
  if (expected === undefined) {
    throw wrong(`begins with "${kind}", expected one of ${[...shape.keys()].join(" or ")}`);
  }
  if (fields.length !== expected.fields || fields.includes("")) {
    const count = fields.filter((field) => field !== "").length;
    throw wrong(`has ${count} ${count === 1 ? "field" : "fields"}, expected ${expected.fields}`);
  }
  const action = expected.strict ? fields[expected.action ?? -1] : undefined;
  if (action !== undefined && action !== "*" && !isAction(action)) {
    throw wrong(`names the action "${action}", expected ${actions.join(", ")} or *`);
  }
  const object = fields[expected.logPattern ?? -1];
  if (object !== undefined && !isLogPattern(object)) {
    throw wrong(
      `names the object "${object}", expected the name of a log, or a prefix that ends with one *; a name contains none of *?[]{}\\`,
    );
  }
  return { kind, fields, line };
}

/** Splits at commas outside of double quotes; `""` inside quotes is one quote. Undefined for an unmatched quote. */
function splitFields(line: string): string[] | undefined {
  if (!line.includes('"')) return line.split(",").map((field) => field.trim());
  const fields: string[] = [];
  for (let at = 0; at <= line.length; ) {
    while (line[at] === " " || line[at] === "\t") at++;
    if (line[at] !== '"') {
      const comma = line.indexOf(",", at);
      const end = comma < 0 ? line.length : comma;
      const field = line.slice(at, end).trim();
      if (field.includes('"')) return undefined;
      fields.push(field);
      at = end + 1;
      continue;
    }
    const close = closingQuote(line, at + 1);
    if (close < 0) return undefined;
    fields.push(
      line
        .slice(at + 1, close)
        .replaceAll('""', '"')
        .trim(),
    );
    at = close + 1;
    while (line[at] === " " || line[at] === "\t") at++;
    if (at < line.length && line[at] !== ",") return undefined;
    at++;
  }
  return fields;
}

/** The position of the quote that ends a quoted field, from `at` on; -1 when there is none. */
function closingQuote(line: string, at: number): number {
  for (let quote = line.indexOf('"', at); quote >= 0; quote = line.indexOf('"', quote + 2)) {
    if (line[quote + 1] !== '"') return quote;
  }
  return -1;
}

/** The line in its usual form: `p, root, *, produce`. */
export const lineText = (line: PolicyLine): string => [line.kind, ...line.fields].join(", ");

/** Returns whether a rule names the action `peer`. Then a node's certificate alone does not make a peer. */
export const mentionsPeer = (lines: readonly PolicyLine[], shape: Shape): boolean =>
  lines.some(({ kind, fields }) => {
    const action = shape.get(kind)?.action;
    return (
      kind.startsWith("p") && (action === undefined ? fields.includes("peer") : fields[action] === "peer")
    );
  });
