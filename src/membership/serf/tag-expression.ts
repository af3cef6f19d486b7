/**
 * Matches the regular expressions of query filters anywhere in a tag's value. All alternatives are followed at once
 * (Thompson: Regular Expression Search Algorithm, 1968), so the time is at most the value's length times the
 * expression's. JavaScript's backtracking engine could be blocked by one query from the wire.
 */

import { type Node, TagExpressionParser, type Test } from "./tag-expression-parser.ts";

type Step =
  | { readonly op: "char"; readonly test: Test }
  | { readonly op: "start" | "end" | "match" }
  | { readonly op: "split"; first: number; second: number }
  | { readonly op: "jump"; to: number };

const stepsMax = 2_000;

/** Returns a function that matches values, or undefined if the expression is malformed, too large or not supported. */
export function compileTagExpression(expression: string): ((value: string) => boolean) | undefined {
  try {
    const steps: Step[] = [];
    emit(new TagExpressionParser(expression).parse(), steps, { left: stepsMax });
    steps.push({ op: "match" });
    return (value) => run(steps, value);
  } catch (reason) {
    if (reason instanceof SyntaxError) return undefined;
    throw reason;
  }
}

/** Number of nodes that may still be emitted. Nodes are counted, not steps: a repeated empty group emits no steps. */
interface Budget {
  left: number;
}

function emit(node: Node, steps: Step[], budget: Budget): void {
  if (--budget.left < 0) throw new SyntaxError("too large");
  switch (node.kind) {
    case "char":
      steps.push({ op: "char", test: node.test });
      return;
    case "start":
    case "end":
      steps.push({ op: node.kind });
      return;
    case "sequence":
      for (const part of node.parts) emit(part, steps, budget);
      return;
    case "either":
      emitEither(node.parts, steps, budget);
      return;
    case "repeat":
      emitRepeat(node.part, node.low, node.high, steps, budget);
  }
}

function emitEither(parts: readonly Node[], steps: Step[], budget: Budget): void {
  const jumps: { op: "jump"; to: number }[] = [];
  parts.forEach((part, at) => {
    if (at === parts.length - 1) {
      emit(part, steps, budget);
      return;
    }
    const split = { op: "split" as const, first: steps.length + 1, second: 0 };
    steps.push(split);
    emit(part, steps, budget);
    const jump = { op: "jump" as const, to: 0 };
    jumps.push(jump);
    steps.push(jump);
    split.second = steps.length;
  });
  for (const jump of jumps) jump.to = steps.length;
}

function emitRepeat(part: Node, low: number, high: number, steps: Step[], budget: Budget): void {
  for (let count = 0; count < low; count++) emit(part, steps, budget);
  if (high === Number.POSITIVE_INFINITY) {
    const split = { op: "split" as const, first: steps.length + 1, second: 0 };
    steps.push(split);
    emit(part, steps, budget);
    steps.push({ op: "jump", to: split.first - 1 });
    split.second = steps.length;
    return;
  }
  const splits: { op: "split"; first: number; second: number }[] = [];
  for (let count = low; count < high; count++) {
    const split = { op: "split" as const, first: steps.length + 1, second: 0 };
    splits.push(split);
    steps.push(split);
    emit(part, steps, budget);
  }
  for (const split of splits) split.second = steps.length;
}

/** Follows all alternatives through the value, starting at each position. */
function run(steps: readonly Step[], value: string): boolean {
  const codes = [...value].map((char) => char.codePointAt(0) as number);
  let places = new Set<number>();
  for (let at = 0; at <= codes.length; at++) {
    const reached = new Set<number>();
    if (reach([0, ...places], steps, at === 0, at === codes.length, reached)) return true;
    places = new Set();
    const code = codes[at];
    if (code === undefined) break;
    for (const place of reached) {
      const step = steps[place] as Step;
      if (step.op === "char" && step.test(code)) places.add(place + 1);
    }
  }
  return false;
}

/** Adds all steps that are reached without reading a character. Returns true if the match is one of them. */
function reach(
  from: number[],
  steps: readonly Step[],
  start: boolean,
  end: boolean,
  into: Set<number>,
): boolean {
  const open = from;
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    if (into.has(place)) continue;
    into.add(place);
    const step = steps[place] as Step;
    if (step.op === "match") return true;
    if (step.op === "jump") open.push(step.to);
    if (step.op === "split") open.push(step.first, step.second);
    if ((step.op === "start" && start) || (step.op === "end" && end)) open.push(place + 1);
  }
  return false;
}
