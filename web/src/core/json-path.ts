/**
 * A small JSON path with a comparison, for the filter:
 *
 *   query := path [ op literal ]
 *   path  := ["$"] ( "." name | "[" number "]" | '["' name '"]' | "[*]" | ".*" )*
 *   op    := = == != > >= < <= ~            ~ is "contains", on text
 *
 * A path alone asks whether it is there. Literals are JSON; anything else is taken as text. Pure.
 */

export type Step = { readonly name: string } | { readonly index: number } | { readonly every: true };
export type Operator = "exists" | "=" | "!=" | ">" | ">=" | "<" | "<=" | "~";

export interface PathQuery {
  readonly steps: readonly Step[];
  readonly operator: Operator;
  readonly literal: unknown;
}

const stepPattern =
  /^(?:\.([\p{L}_$][\p{L}\p{N}_$-]*)|\.(\*)|\[(\d{1,9})\]|\[(\*)\]|\["((?:[^"\\]|\\.)*)"\])/u;
/** Values looked at for one record at most, whatever the stars expand to. */
const valuesMax = 10_000;

/** The query, or a sentence saying what is wrong with the text. */
export function parsePathQuery(text: string): PathQuery | string {
  let rest = text.trim();
  rest = rest.startsWith("$") ? rest.slice(1) : rest;
  if (/^[\p{L}_]/u.test(rest)) rest = `.${rest}`;
  const steps: Step[] = [];
  for (let found = stepPattern.exec(rest); found !== null; found = stepPattern.exec(rest)) {
    steps.push(stepOf(found));
    rest = rest.slice(found[0].length);
  }
  rest = rest.trimStart();
  if (rest === "")
    return steps.length === 0 ? "a path looks like $.user.id" : query(steps, "exists", undefined);
  const operator = /^(==|!=|>=|<=|=|>|<|~)\s*/.exec(rest);
  if (operator === null) return `cannot read “${rest.slice(0, 20)}” in the path`;
  const literal = rest.slice(operator[0].length);
  if (literal === "") return `compare with what? A value goes after ${operator[1]}`;
  return query(steps, operator[1] === "==" ? "=" : (operator[1] as Operator), literalOf(literal));
}

const query = (steps: readonly Step[], operator: Operator, literal: unknown): PathQuery => ({
  steps,
  operator,
  literal,
});

function stepOf(found: RegExpExecArray): Step {
  if (found[1] !== undefined) return { name: found[1] };
  if (found[3] !== undefined) return { index: Number(found[3]) };
  if (found[5] !== undefined) return { name: found[5].replace(/\\(.)/g, "$1") };
  return { every: true };
}

function literalOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text.replace(/^'(.*)'$/, "$1").trimEnd();
  }
}

/** Does any value at the path satisfy the comparison? */
export function matchesPath(root: unknown, asked: PathQuery): boolean {
  let level: unknown[] = [root];
  for (const wanted of asked.steps) {
    const below: unknown[] = [];
    for (const value of level) {
      if (below.length >= valuesMax) break;
      collect(value, wanted, below);
    }
    level = below;
  }
  return level.some((value) => compare(value, asked));
}

function collect(value: unknown, wanted: Step, into: unknown[]): void {
  if (typeof value !== "object" || value === null) return;
  if ("every" in wanted) {
    for (const item of Object.values(value)) {
      if (into.length >= valuesMax) return;
      into.push(item);
    }
  } else if ("index" in wanted) {
    if (Array.isArray(value) && wanted.index < value.length) into.push(value[wanted.index]);
  } else if (Object.hasOwn(value, wanted.name)) {
    into.push((value as Record<string, unknown>)[wanted.name]);
  }
}

function compare(value: unknown, { operator, literal }: PathQuery): boolean {
  if (operator === "exists") return true;
  if (operator === "~") return String(value).toLowerCase().includes(String(literal).toLowerCase());
  if (operator === "=" || operator === "!=") return same(value, literal) === (operator === "=");
  const [left, right] =
    typeof literal === "number" ? [Number(value), literal] : [String(value), String(literal)];
  if (operator === ">") return left > right;
  if (operator === ">=") return left >= right;
  return operator === "<" ? left < right : left <= right;
}

function same(value: unknown, literal: unknown): boolean {
  if (value === literal) return true;
  if (typeof value === "object" || typeof literal === "object") return false;
  return String(value) === String(literal);
}
