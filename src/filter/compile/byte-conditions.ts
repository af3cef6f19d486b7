/**
 * Conditions that are evaluated on the stored bytes of a record, without decoding it:
 *
 *   key == "…"   key.startsWith("…")   headers.NAME == "…"   headers["NAME"] == "…"   has(headers.NAME)   "NAME" in headers
 *   offset < N (and <=, ==, !=, >=, >)   true   false   and &&, ||, ! of such conditions
 *
 * A condition has three results, as in CEL: a header that the record does not have is an error, unless the other side of && or ||
 * decides. They agree with the evaluation of the expression for all bytes: a text without U+FFFD equals a decoded text only if
 * its bytes are the same.
 */
import type { Expr } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import type { RecordCursor } from "../../log/mod.ts";
import { findHeader, findKey, type Span, startsWith } from "../evaluate/record-bytes.ts";

/** 1: true. 0: false. −1: an error. */
type Outcome = 1 | 0 | -1;
export type ByteCondition = (cursor: RecordCursor) => Outcome;

/** What can be decided on the bytes, and what is left of the conjunction. Both undefined: not possible; the filter is empty. */
interface Split {
  readonly bytes: ByteCondition | undefined;
  readonly rest: readonly Expr[];
}

/** Splits the conjunction at the root of the tree. */
export function splitByteConditions(root: Expr): Split {
  const conditions: ByteCondition[] = [];
  const rest: Expr[] = [];
  const visit = (expr: Expr): void => {
    const condition = byteCondition(expr);
    if (condition !== undefined) {
      conditions.push(condition);
      return;
    }
    const and = callOf(expr, "_&&_");
    if (and === undefined) rest.push(expr);
    else for (const each of and.args) visit(each);
  };
  visit(root);
  return { bytes: conditions.length === 0 ? undefined : allOf(conditions), rest };
}

const allOf =
  (conditions: readonly ByteCondition[]): ByteCondition =>
  (cursor) => {
    let outcome: Outcome = 1;
    for (const condition of conditions) {
      const each = condition(cursor);
      if (each === 0) return 0;
      if (each < 0) outcome = -1;
    }
    return outcome;
  };

const anyOf =
  (conditions: readonly ByteCondition[]): ByteCondition =>
  (cursor) => {
    let outcome: Outcome = 0;
    for (const condition of conditions) {
      const each = condition(cursor);
      if (each === 1) return 1;
      if (each < 0) outcome = -1;
    }
    return outcome;
  };

function byteCondition(expr: Expr): ByteCondition | undefined {
  const { exprKind } = expr;
  if (exprKind.case === "constExpr") {
    const { constantKind } = exprKind.value;
    if (constantKind.case !== "boolValue") return undefined;
    const outcome = constantKind.value ? 1 : 0;
    return () => outcome;
  }
  if (exprKind.case === "selectExpr") {
    const { testOnly, field } = exprKind.value;
    return testOnly && isVariable(exprKind.value.operand, "headers") ? hasHeader(field) : undefined;
  }
  if (exprKind.case !== "callExpr") return undefined;
  const { args, target } = exprKind.value;
  const name = exprKind.value.function;
  if (name === "_&&_" || name === "_||_") {
    const conditions = args.map(byteCondition);
    if (conditions.includes(undefined)) return undefined;
    return (name === "_&&_" ? allOf : anyOf)(conditions as ByteCondition[]);
  }
  if (name === "!_") {
    const inner = args[0] === undefined ? undefined : byteCondition(args[0]);
    return inner && ((cursor) => negated[inner(cursor) + 1]!);
  }
  if (name === "startsWith") return isVariable(target, "key") ? keyStartsWith(textOf(args[0])) : undefined;
  if (name === "@in") return isVariable(args[1], "headers") ? hasHeader(textOf(args[0])) : undefined;
  return comparison(name, args);
}

/** By outcome + 1. */
const negated: readonly Outcome[] = [-1, 1, 0];

function comparison(name: string, args: readonly Expr[]): ByteCondition | undefined {
  const [left, right] = args;
  if (name === "_==_" || name === "_!=_") {
    const equality = equalityOf(left, right) ?? equalityOf(right, left);
    if (equality === undefined || name === "_==_") return equality;
    return (cursor) => negated[equality(cursor) + 1]!;
  }
  const compare = orders[name];
  if (compare === undefined) return undefined;
  if (isVariable(left, "offset")) {
    const limit = intOf(right);
    return limit === undefined ? undefined : ({ offset }) => (compare(offset, limit) ? 1 : 0);
  }
  const limit = isVariable(right, "offset") ? intOf(left) : undefined;
  return limit === undefined ? undefined : ({ offset }) => (compare(limit, offset) ? 1 : 0);
}

const orders: Readonly<Record<string, (left: number, right: number) => boolean>> = {
  "_<_": (left, right) => left < right,
  "_<=_": (left, right) => left <= right,
  "_>_": (left, right) => left > right,
  "_>=_": (left, right) => left >= right,
};

function equalityOf(left: Expr | undefined, right: Expr | undefined): ByteCondition | undefined {
  if (isVariable(left, "offset")) {
    const wanted = intOf(right);
    return wanted === undefined ? undefined : ({ offset }) => (offset === wanted ? 1 : 0);
  }
  const wanted = exactBytes(textOf(right));
  if (wanted === undefined) return undefined;
  if (isVariable(left, "key"))
    return ({ frames, start, end }) => (isSame(frames, findKey(frames, start, end), wanted) ? 1 : 0);
  const header = exactBytes(headerOf(left));
  if (header === undefined) return undefined;
  return ({ frames, start, end }) => {
    const found = findHeader(frames, start, end, header);
    return found === undefined ? -1 : isSame(frames, found, wanted) ? 1 : 0;
  };
}

function keyStartsWith(text: string | undefined): ByteCondition | undefined {
  const prefix = exactBytes(text);
  if (prefix === undefined) return undefined;
  return ({ frames, start, end }) => {
    const { from, to } = findKey(frames, start, end);
    return startsWith(frames, from, to, prefix) ? 1 : 0;
  };
}

function hasHeader(name: string | undefined): ByteCondition | undefined {
  const wanted = exactBytes(name);
  if (wanted === undefined) return undefined;
  return ({ frames, start, end }) => (findHeader(frames, start, end, wanted) === undefined ? 0 : 1);
}

const isSame = (bytes: Uint8Array, { from, to }: Span, wanted: Uint8Array): boolean =>
  to - from === wanted.length && startsWith(bytes, from, to, wanted);

/** The bytes of a text, unless other bytes become the same text when they are decoded. */
const exactBytes = (text: string | undefined): Uint8Array | undefined =>
  text === undefined || !text.isWellFormed() || text.includes("\ufffd") ? undefined : Buffer.from(text);

const isVariable = (expr: Expr | undefined, name: string): boolean =>
  expr?.exprKind.case === "identExpr" && expr.exprKind.value.name === name;

function headerOf(expr: Expr | undefined): string | undefined {
  if (expr?.exprKind.case === "selectExpr") {
    const { operand, field, testOnly } = expr.exprKind.value;
    return !testOnly && isVariable(operand, "headers") ? field : undefined;
  }
  const index = expr === undefined ? undefined : callOf(expr, "_[_]");
  return index !== undefined && isVariable(index.args[0], "headers") ? textOf(index.args[1]) : undefined;
}

function callOf(expr: Expr, name: string): { readonly args: readonly Expr[] } | undefined {
  const { exprKind } = expr;
  return exprKind.case === "callExpr" && exprKind.value.function === name ? exprKind.value : undefined;
}

function textOf(expr: Expr | undefined): string | undefined {
  const constant = expr?.exprKind.case === "constExpr" ? expr.exprKind.value.constantKind : undefined;
  return constant?.case === "stringValue" ? constant.value : undefined;
}

function intOf(expr: Expr | undefined): number | undefined {
  const constant = expr?.exprKind.case === "constExpr" ? expr.exprKind.value.constantKind : undefined;
  if (constant?.case !== "int64Value") return undefined;
  const value = Number(constant.value);
  return Number.isSafeInteger(value) ? value : undefined;
}
