/** Checks the tree of an expression: names, functions, patterns, depth and types. What is found here costs no evaluation. */

import type { CelFunc } from "@bufbuild/cel";
import type { Expr, ParsedExpr } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import type { Fault } from "../../fault.ts";
import { Pattern } from "../evaluate/pattern.ts";
import { variableNames } from "../evaluate/record-variables.ts";
import { expressionError } from "./expression-error.ts";
import { PatternSize } from "./pattern-size.ts";
import { StaticTypes } from "./static-types.ts";

/** Depth of the tree. An evaluation has several calls for each level. */
const depthMax = 100;
/** Regular expressions in one filter. Each keeps states in memory. */
const patternsMax = 4;

/** Names of types, as type() returns them. */
const typeNames = ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];
/** What the library evaluates without a function. */
const operators = ["_[_]", "_?_:_", "_&&_", "_||_", "@not_strictly_false"];
/** Operators with a result that is not a condition. */
const values = ["_+_", "_-_", "_*_", "_/_", "_%_", "-_", "size", "type"];

interface Functions {
  find(name: string): Iterable<CelFunc> | undefined;
}

/** Functions with a capital letter, which are often spelled without it. */
const camelCase = ["startsWith", "endsWith", "getFullYear", "getMonth", "getDate", "getHours", "getMinutes"];

function spelledHint(name: string, functions: Functions): string {
  const meant = [name.toLowerCase(), ...camelCase].find(
    (each) =>
      each !== name && each.toLowerCase() === name.toLowerCase() && functions.find(each) !== undefined,
  );
  return meant === undefined ? "" : `, it is spelled ${quoted(meant)}`;
}

/**
 * Returns the regular expressions of the expression, by their text.
 * @throws Fault "bad-request"
 */
export function checkExpression(parsed: ParsedExpr, functions: Functions): ReadonlyMap<string, Pattern> {
  const check = new ExpressionCheck(parsed, functions);
  const root = parsed.expr;
  if (root === undefined) throw expressionError("it is empty");
  check.visit(root, new Set(variableNames), 0);
  check.checkIsCondition(root);
  check.checkTypes(root);
  return check.patterns;
}

class ExpressionCheck {
  readonly patterns = new Map<string, Pattern>();
  readonly #size = new PatternSize();
  readonly #parsed: ParsedExpr;
  readonly #functions: Functions;

  constructor(parsed: ParsedExpr, functions: Functions) {
    this.#parsed = parsed;
    this.#functions = functions;
  }

  visit(expr: Expr | undefined, names: ReadonlySet<string>, depth: number): void {
    if (expr === undefined) return;
    if (depth > depthMax) throw this.#error(expr, `it is nested more than ${depthMax} deep`);
    const visit = (child: Expr | undefined): void => this.visit(child, names, depth + 1);
    const { exprKind } = expr;
    switch (exprKind.case) {
      case "identExpr":
        this.#checkName(expr, exprKind.value.name, names);
        break;
      case "selectExpr":
        visit(exprKind.value.operand);
        break;
      case "callExpr":
        this.#checkCall(expr, exprKind.value);
        visit(exprKind.value.target);
        for (const arg of exprKind.value.args) visit(arg);
        break;
      case "listExpr":
        if (exprKind.value.optionalIndices.length > 0) throw this.#error(expr, "elements cannot be optional");
        for (const element of exprKind.value.elements) visit(element);
        break;
      case "structExpr":
        if (exprKind.value.messageName !== "")
          throw this.#error(expr, `messages (${quoted(exprKind.value.messageName)}) cannot be made`);
        for (const { keyKind, value } of exprKind.value.entries) {
          if (keyKind.case === "mapKey") visit(keyKind.value);
          visit(value);
        }
        break;
      case "comprehensionExpr": {
        const { iterRange, accuInit, iterVar, accuVar, loopCondition, loopStep, result } = exprKind.value;
        visit(iterRange);
        visit(accuInit);
        const inner = new Set([...names, iterVar, accuVar]);
        for (const child of [loopCondition, loopStep, result]) this.visit(child, inner, depth + 1);
        break;
      }
      default:
    }
  }

  /** @throws Fault "bad-request" if the result is certainly no condition */
  checkIsCondition(root: Expr): void {
    const { exprKind } = root;
    const isCondition =
      exprKind.case === "constExpr"
        ? exprKind.value.constantKind.case === "boolValue"
        : exprKind.case === "callExpr"
          ? !values.includes(exprKind.value.function)
          : exprKind.case === "identExpr"
            ? exprKind.value.name === "json"
            : exprKind.case !== "listExpr" && exprKind.case !== "structExpr";
    if (!isCondition)
      throw this.#error(root, 'it is not a condition. A condition is, for example, key == "a" or json.n > 5');
  }

  /** @throws Fault "bad-request" if a call cannot succeed for any record */
  checkTypes(root: Expr): void {
    new StaticTypes(this.#functions, (expr, why) => this.#error(expr, why)).of(root);
  }

  #checkName(expr: Expr, name: string, names: ReadonlySet<string>): void {
    if (names.has(name) || typeNames.includes(name)) return;
    throw this.#error(expr, `there is no variable ${quoted(name)}, only ${variableNames.join(", ")}`);
  }

  #checkCall(
    expr: Expr,
    call: { readonly target?: Expr | undefined; readonly function: string; readonly args: readonly Expr[] },
  ): void {
    const { target, args } = call;
    const name = call.function;
    if (operators.includes(name)) return;
    const overloads = [...(this.#functions.find(name) ?? [])];
    if (overloads.length === 0)
      throw this.#error(expr, `there is no function ${quoted(name)}${spelledHint(name, this.#functions)}`);
    const fits = overloads.some(
      (each) =>
        (each.target === undefined) === (target === undefined) && each.arguments.length === args.length,
    );
    if (!fits) throw this.#error(expr, `${quoted(name)} is not called like this`);
    if (name === "matches") this.#checkPattern(args[0]!);
  }

  #checkPattern(expr: Expr): void {
    const { exprKind } = expr;
    const constant = exprKind.case === "constExpr" ? exprKind.value.constantKind : undefined;
    if (constant?.case !== "stringValue")
      throw this.#error(expr, "the regular expression of matches() must be a literal text");
    const text = constant.value;
    if (this.patterns.has(text)) return;
    if (this.patterns.size === patternsMax)
      throw this.#error(expr, `it has more than ${patternsMax} regular expressions`);
    try {
      this.#size.check(text);
      this.patterns.set(text, new Pattern(text));
    } catch (reason) {
      throw this.#error(expr, reason instanceof Error ? reason.message : String(reason));
    }
  }

  #error(expr: Expr, why: string): Fault {
    return expressionError(why, this.#parsed.sourceInfo?.positions[String(expr.id)]);
  }
}

const quoted = (text: string): string => JSON.stringify(text.slice(0, 64));
