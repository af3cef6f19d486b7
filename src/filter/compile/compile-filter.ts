/**
 * Compiles the text of a filter: a condition in CEL about one record. Compiled filters are cached, so a reader that resumes does not
 * pay again.
 */
import { type CelFunc, celEnv, parse, plan } from "@bufbuild/cel";
import type { Expr, ParsedExpr } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import { ExprSchema } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import { create } from "@bufbuild/protobuf";
import { countedFunctions } from "../evaluate/functions.ts";
import type { Variables } from "../evaluate/record-variables.ts";
import { Filter } from "../filter.ts";
import { splitByteConditions } from "./byte-conditions.ts";
import { checkExpression } from "./check-expression.ts";
import { countLoops } from "./count-loops.ts";
import { expressionError } from "./expression-error.ts";
import { checkNesting } from "./nesting.ts";

/** Size of an expression, in bytes of UTF-8. */
export const filterBytesMax = 2_048;
/** Compiled filters of the process. */
const cachedMax = 32;

const environment = celEnv({ funcs: countedFunctions as CelFunc[] });
const cached = new Map<string, Filter>();

/** @throws Fault "bad-request" with the facts field ("filter") and character */
export function compileFilter(text: string): Filter {
  const known = cached.get(text);
  if (known !== undefined) {
    cached.delete(text);
    cached.set(text, known);
    return known;
  }
  const filter = compile(text);
  cached.set(text, filter);
  if (cached.size > cachedMax)
    for (const oldest of cached.keys()) {
      cached.delete(oldest);
      break;
    }
  return filter;
}

function compile(text: string): Filter {
  if (!text.isWellFormed()) throw expressionError("it is not valid Unicode");
  const bytes = Buffer.byteLength(text);
  if (bytes > filterBytesMax) throw expressionError(`it has ${bytes} bytes, the limit is ${filterBytesMax}`);
  if (text.trim() === "") throw expressionError("it is empty");
  checkNesting(text);
  const parsed = parsedOf(text);
  const patterns = checkExpression(parsed, environment.funcs);
  const { bytes: condition, rest } = splitByteConditions(parsed.expr!);
  for (const each of rest) countLoops(each);
  const conjunction = conjunctionOf(rest);
  return new Filter({
    text,
    bytes: condition,
    patterns,
    evaluate:
      conjunction === undefined
        ? undefined
        : (plan(environment, conjunction) as (variables: Variables) => unknown),
  });
}

function parsedOf(text: string): ParsedExpr {
  try {
    // The parser wants the end of a comment.
    return parse(`${text}\n`);
  } catch (reason) {
    if (reason instanceof RangeError) throw expressionError("it is nested too deep");
    const { message, location } = reason as Error & {
      readonly location?: { readonly start?: { readonly offset?: number } };
    };
    // "<input>:1:12: found = but expecting end of input", then lines that show the place.
    const [line = ""] = message.split("\n");
    const at = location?.start?.offset;
    const why = line.replace(/^<input>:\d+:\d+: /, "");
    throw expressionError(`${why}${at === undefined ? "" : operatorHint(text.slice(at))}`, at);
  }
}

/** What is meant by an operator of another language, most likely. `rest` begins with what the parser does not expect. */
function operatorHint(rest: string): string {
  const [word = ""] = /^(?:=+|&|\||[a-z]+)/i.exec(rest) ?? [];
  const meant = operatorsMeant.get(word.toLowerCase());
  return meant === undefined ? "" : `; ${meant}`;
}

const operatorsMeant: ReadonlyMap<string, string> = new Map([
  ...["=", "===", "is"].map((word) => [word, "to compare, write =="] as const),
  ...["and", "&"].map((word) => [word, "write &&"] as const),
  ...["or", "|"].map((word) => [word, "write ||"] as const),
  ["like", "write text.contains() or text.matches()"],
  ["contains", "write text.contains()"],
  ["matches", "write text.matches()"],
  ["starts", "write text.startsWith()"],
  ["ends", "write text.endsWith()"],
]);

function conjunctionOf(all: readonly Expr[]): Expr | undefined {
  const [first] = all;
  if (first === undefined || all.length === 1) return first;
  const value = { function: "_&&_", args: [...all] };
  return create(ExprSchema, { id: first.id, exprKind: { case: "callExpr", value } });
}
