/**
 * Finds calls whose types can never fit, such as `value.contains("a")`: value is bytes. An evaluation would end in an error for
 * each record, so nothing would match, without a word. Only what is certain is refused: members of `json` and the variables of
 * loops can be anything. The type checker of the library has no functions yet.
 */
import { type CelFunc, type CelType, celEnv, isCelError, parse, plan } from "@bufbuild/cel";
import type { Expr } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";

/** The words of the documentation for types. */
type Known =
  | "text"
  | "bytes"
  | "integer"
  | "number"
  | "boolean"
  | "null"
  | "timestamp"
  | "duration"
  | "list"
  | "map"
  | "type";
/** Undefined: it is known only when a record is evaluated. */
type StaticType = Known | undefined;

interface Functions {
  find(name: string): Iterable<CelFunc> | undefined;
}

const ofVariables: ReadonlyMap<string, Known> = new Map<string, Known>([
  ["key", "text"],
  ["headers", "map"],
  ["value", "bytes"],
  ["text", "text"],
  ["offset", "integer"],
  ["time", "timestamp"],
]);

const ofConstants: ReadonlyMap<string, Known> = new Map<string, Known>([
  ["stringValue", "text"],
  ["bytesValue", "bytes"],
  ["int64Value", "integer"],
  ["uint64Value", "integer"],
  ["doubleValue", "number"],
  ["boolValue", "boolean"],
  ["nullValue", "null"],
]);

/** Names of the library → words. */
const ofNames: ReadonlyMap<string, Known> = new Map<string, Known>([
  ["string", "text"],
  ["bytes", "bytes"],
  ["int", "integer"],
  ["uint", "integer"],
  ["double", "number"],
  ["bool", "boolean"],
  ["null_type", "null"],
  ["type", "type"],
  ["google.protobuf.Timestamp", "timestamp"],
  ["google.protobuf.Duration", "duration"],
]);

const logical = ["_&&_", "_||_", "!_"];
const equality = ["_==_", "_!=_"];
const arithmetic = ["_+_", "_-_", "_*_", "_/_", "_%_"];
/** Functions whose literal argument is a text that must have a certain form. */
const conversions = ["timestamp", "duration"];

export class StaticTypes {
  readonly #functions: Functions;
  readonly #error: (expr: Expr, why: string) => Error;

  /** @param error makes the error that is thrown */
  constructor(functions: Functions, error: (expr: Expr, why: string) => Error) {
    this.#functions = functions;
    this.#error = error;
  }

  /** The type of an expression whose names and numbers of arguments are checked. `loops`: variables of the loops around it. */
  of(expr: Expr | undefined, loops: ReadonlySet<string> = new Set()): StaticType {
    if (expr === undefined) return undefined;
    const { exprKind } = expr;
    switch (exprKind.case) {
      case "constExpr":
        return ofConstants.get(exprKind.value.constantKind.case ?? "");
      case "identExpr": {
        const { name } = exprKind.value;
        if (loops.has(name)) return undefined;
        return ofVariables.get(name) ?? (ofNames.has(name) ? "type" : undefined);
      }
      case "selectExpr": {
        const { operand, testOnly } = exprKind.value;
        this.#mustHaveMembers(expr, this.of(operand, loops));
        if (testOnly) return "boolean";
        return isHeaders(operand, loops) ? "text" : undefined;
      }
      case "callExpr":
        return this.#ofCall(expr, exprKind.value, loops);
      case "listExpr":
        for (const element of exprKind.value.elements) this.of(element, loops);
        return "list";
      case "structExpr":
        for (const { keyKind, value } of exprKind.value.entries) {
          if (keyKind.case === "mapKey") this.of(keyKind.value, loops);
          this.of(value, loops);
        }
        return "map";
      case "comprehensionExpr": {
        const { iterRange, iterVar, accuVar, accuInit, loopCondition, loopStep, result } = exprKind.value;
        const range = this.of(iterRange, loops);
        if (range !== undefined && range !== "list" && range !== "map")
          throw this.#error(expr, `a loop is over a list or a map, not over ${shown(range)}`);
        const inner = new Set([...loops, iterVar, accuVar]);
        this.of(accuInit, loops);
        for (const part of [loopCondition, loopStep, result]) this.of(part, inner);
        return undefined;
      }
      default:
        return undefined;
    }
  }

  #ofCall(
    expr: Expr,
    call: { readonly target?: Expr | undefined; readonly function: string; readonly args: readonly Expr[] },
    loops: ReadonlySet<string>,
  ): StaticType {
    const name = call.function;
    const target = call.target === undefined ? undefined : this.of(call.target, loops);
    const args = call.args.map((arg) => this.of(arg, loops));
    if (logical.includes(name)) {
      for (const [at, arg] of args.entries())
        if (arg !== undefined && arg !== "boolean")
          throw this.#error(call.args[at]!, `${symbolOf(name)} takes conditions, not ${shown(arg)}`);
      return "boolean";
    }
    if (name === "_?_:_") return args[1] === args[2] ? args[1] : undefined;
    if (name === "_[_]") return isHeaders(call.args[0], loops) ? "text" : undefined;
    if (equality.includes(name)) {
      const [left, right] = args;
      if (!canBeEqual(left, right))
        throw this.#error(expr, `${shown(left!)} and ${shown(right!)} are never equal${hintFor(args)}`);
      return "boolean";
    }
    const overloads = [...(this.#functions.find(name) ?? [])].filter(
      (each) =>
        (each.target === undefined) === (call.target === undefined) && each.arguments.length === args.length,
    );
    const fitting = overloads.filter(
      (each) => fits(target, each.target) && each.arguments.every((type, at) => fits(args[at], type)),
    );
    // The macros and the operators that the library evaluates itself have no overloads.
    if (overloads.length > 0 && fitting.length === 0) {
      const given = args.map(shown).join(" and ");
      const why =
        call.target === undefined
          ? `there is no ${symbolOf(name)} of ${given}`
          : `${shown(target)} has no ${symbolOf(name)}${given === "" ? "" : ` with ${given}`}`;
      throw this.#error(expr, `${why}${hintFor([target, ...args])}`);
    }
    if (arithmetic.includes(name) && args.includes("integer") && call.args.some((arg) => isJson(arg, loops)))
      throw this.#error(
        expr,
        "numbers of json are doubles, and an integer is not: write 1.0, or int(json.n)",
      );
    if (conversions.includes(name)) this.#checkLiteral(name, call.args[0]);
    const results = new Set(fitting.map(({ result }) => typeOf(result)));
    return results.size === 1 ? [...results][0] : undefined;
  }

  /** A literal that cannot be converted is an error for each record. */
  #checkLiteral(name: string, expr: Expr | undefined): void {
    const constant = expr?.exprKind.case === "constExpr" ? expr.exprKind.value.constantKind : undefined;
    if (expr === undefined || constant?.case !== "stringValue") return;
    if (isConverted(name, constant.value)) return;
    const example = name === "timestamp" ? '"2026-01-31T12:00:00Z"' : '"1h30m"';
    throw this.#error(
      expr,
      `${JSON.stringify(constant.value.slice(0, 64))} is no ${name}; one is written ${example}`,
    );
  }

  #mustHaveMembers(expr: Expr, type: StaticType): void {
    if (type === undefined || type === "map") return;
    throw this.#error(
      expr,
      `${shown(type)} has no members${type === "bytes" || type === "text" ? "; json has" : ""}`,
    );
  }
}

function isHeaders(expr: Expr | undefined, loops: ReadonlySet<string>): boolean {
  return (
    expr?.exprKind.case === "identExpr" && expr.exprKind.value.name === "headers" && !loops.has("headers")
  );
}

/** A member of json, also of a member. Its value is a text, a double, a boolean, null, a list or a map. */
function isJson(expr: Expr | undefined, loops: ReadonlySet<string>): boolean {
  const { exprKind } = expr ?? {};
  if (exprKind?.case === "identExpr") return exprKind.value.name === "json" && !loops.has("json");
  if (exprKind?.case === "selectExpr")
    return !exprKind.value.testOnly && isJson(exprKind.value.operand, loops);
  return (
    exprKind?.case === "callExpr" &&
    exprKind.value.function === "_[_]" &&
    isJson(exprKind.value.args[0], loops)
  );
}

function isConverted(conversion: string, text: string): boolean {
  return !isCelError(plan(celEnv(), parse(`${conversion}(x)`))({ x: text }));
}

function typeOf(type: CelType): StaticType {
  if (type.kind === "list" || type.kind === "map") return type.kind;
  return ofNames.get(String(type));
}

const fits = (found: StaticType, wanted: CelType | undefined): boolean => {
  if (found === undefined || wanted === undefined) return true;
  const type = typeOf(wanted);
  return type === undefined || type === found;
};

/** Numbers of different types can be equal. */
function canBeEqual(left: StaticType, right: StaticType): boolean {
  if (left === undefined || right === undefined || left === right) return true;
  const numbers: readonly StaticType[] = ["integer", "number"];
  return numbers.includes(left) && numbers.includes(right);
}

/** What is meant, most likely. */
function hintFor(types: readonly StaticType[]): string {
  if (types.includes("bytes")) return '; the value as text is text, and bytes are written b"…"';
  if (types.includes("timestamp") && types.includes("text"))
    return '; a time is written timestamp("2026-01-31T12:00:00Z")';
  return "";
}

const shown = (type: StaticType): string => (type === undefined ? "anything" : `${articles[type]}${type}`);

const articles: Readonly<Record<Known, string>> = {
  ...{ text: "", bytes: "", null: "" },
  ...{ integer: "an ", number: "a ", boolean: "a ", timestamp: "a ", duration: "a " },
  ...{ list: "a ", map: "a ", type: "a " },
};

/** `_==_` → `==`, `contains` → `"contains"`. */
function symbolOf(name: string): string {
  const symbol = name.replaceAll("_", "").replace("@", "");
  return name.includes("_") || name.startsWith("@") ? symbol : `"${name}"`;
}
