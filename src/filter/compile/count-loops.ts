/**
 * Puts the functions that count work into each loop of an expression (all, exists, exists_one, filter, map). The library cannot be
 * interrupted, but a loop ends when its condition fails:
 *
 *   range      becomes  @range(range)
 *   condition  becomes  condition && @step(units)
 */

import { type Expr, ExprSchema } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import { create } from "@bufbuild/protobuf";
import { rangeFunction, stepFunction } from "../evaluate/functions.ts";

/** Units for each node of the tree that a step evaluates. */
const nodeUnits = 30;

/** Changes the tree. Returns the number of its nodes. */
export function countLoops(expr: Expr | undefined): number {
  if (expr === undefined) return 0;
  const { exprKind } = expr;
  switch (exprKind.case) {
    case "selectExpr":
      return 1 + countLoops(exprKind.value.operand);
    case "callExpr":
      return 1 + countLoops(exprKind.value.target) + sum(exprKind.value.args);
    case "listExpr":
      return 1 + sum(exprKind.value.elements);
    case "structExpr":
      return exprKind.value.entries.reduce(
        (total, { keyKind, value }) =>
          total + (keyKind.case === "mapKey" ? countLoops(keyKind.value) : 0) + countLoops(value),
        1,
      );
    case "comprehensionExpr": {
      const loop = exprKind.value;
      const outside = sum([loop.iterRange, loop.accuInit]);
      const inside = sum([loop.loopCondition, loop.loopStep, loop.result]);
      loop.iterRange = call(expr, rangeFunction, [loop.iterRange!]);
      const units = constant(expr, inside * nodeUnits);
      loop.loopCondition = call(expr, "_&&_", [loop.loopCondition!, call(expr, stepFunction, [units])]);
      return 1 + outside + inside;
    }
    default:
      return 1;
  }
}

const sum = (all: readonly (Expr | undefined)[]): number =>
  all.reduce((total, each) => total + countLoops(each), 0);

const call = ({ id }: Expr, name: string, args: Expr[]): Expr =>
  create(ExprSchema, { id, exprKind: { case: "callExpr", value: { function: name, args } } });

const constant = ({ id }: Expr, value: number): Expr =>
  create(ExprSchema, {
    id,
    exprKind: { case: "constExpr", value: { constantKind: { case: "int64Value", value: BigInt(value) } } },
  });
