/**
 * Regular expressions on tags, from the wire: the common part of RE2's syntax (literals, `.`, classes, groups,
 * alternatives, `* + ? {n,m}`, `^ $`, `\d \w \s`), matched anywhere in the value. All ways are followed at once
 * (Thompson, 1968), so the time is the value's length times the expression's, whatever the expression: a query must
 * not be able to stop a node, as it could with the engine of JavaScript, which backtracks.
 *
 * Never: backtracks; compiles to more than `stepsMax` steps.
 */

type Test = (code: number) => boolean;
type Node =
  | { readonly kind: "char"; readonly test: Test }
  | { readonly kind: "start" | "end" }
  | { readonly kind: "sequence" | "either"; readonly parts: readonly Node[] }
  | { readonly kind: "repeat"; readonly part: Node; readonly low: number; readonly high: number };

type Step =
  | { readonly op: "char"; readonly test: Test }
  | { readonly op: "start" | "end" | "match" }
  | { readonly op: "split"; first: number; second: number }
  | { readonly op: "jump"; to: number };

const stepsMax = 2_000;
const depthMax = 32;
const repeatMax = 1_000;

/** A test for this expression; undefined when it is malformed, too large or beyond the part of RE2 that is known. */
export function compileTagExpression(expression: string): ((value: string) => boolean) | undefined {
  try {
    const steps: Step[] = [];
    emit(new Parser(expression).whole(), steps, { left: stepsMax });
    steps.push({ op: "match" });
    return (value) => run(steps, value);
  } catch (reason) {
    if (reason instanceof SyntaxError) return undefined;
    throw reason;
  }
}

class Parser {
  readonly #text: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(expression: string) {
    this.#text = [...expression];
  }

  whole(): Node {
    const node = this.#either();
    if (this.#at < this.#text.length) throw new SyntaxError("a group is closed twice");
    return node;
  }

  #either(): Node {
    if (++this.#depth > depthMax) throw new SyntaxError("nested too deep");
    const parts = [this.#sequence()];
    while (this.#take("|")) parts.push(this.#sequence());
    this.#depth--;
    return { kind: "either", parts };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    while (this.#at < this.#text.length && !"|)".includes(this.#peek())) parts.push(this.#repeated());
    return { kind: "sequence", parts };
  }

  #repeated(): Node {
    let part = this.#atom();
    for (;;) {
      const range = this.#range();
      if (range === undefined) return part;
      this.#take("?"); // Which of two matches is found does not matter here.
      part = { kind: "repeat", part, ...range };
    }
  }

  #range(): { low: number; high: number } | undefined {
    if (this.#take("*")) return { low: 0, high: Number.POSITIVE_INFINITY };
    if (this.#take("+")) return { low: 1, high: Number.POSITIVE_INFINITY };
    if (this.#take("?")) return { low: 0, high: 1 };
    const found = /^\{(\d{1,4})(,(\d{1,4})?)?\}/.exec(this.#text.slice(this.#at, this.#at + 12).join(""));
    if (found === null) return undefined;
    this.#at += found[0].length;
    const low = Number(found[1]);
    const open = found[3] === undefined ? Number.POSITIVE_INFINITY : Number(found[3]);
    const high = found[2] === undefined ? low : open;
    if (low > repeatMax || (high > repeatMax && Number.isFinite(high)) || high < low) {
      throw new SyntaxError("a bad count");
    }
    return { low, high };
  }

  #atom(): Node {
    const char = this.#next();
    switch (char) {
      case "(": {
        if (this.#take("?") && !(this.#take(":") || this.#named())) throw new SyntaxError("unknown group");
        const node = this.#either();
        if (!this.#take(")")) throw new SyntaxError("a group is not closed");
        return node;
      }
      case "[":
        return { kind: "char", test: this.#class() };
      case ".":
        return { kind: "char", test: (code) => code !== 10 };
      case "^":
        return { kind: "start" };
      case "$":
        return { kind: "end" };
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
        throw new SyntaxError("nothing to repeat");
      default:
        return { kind: "char", test: only(char) };
    }
  }

  #named(): boolean {
    const found = /^P?<\w+>/.exec(this.#text.slice(this.#at).join(""));
    this.#at += found?.[0].length ?? 0;
    return found !== null;
  }

  #escape(): Node {
    const char = this.#next();
    if (char === "A") return { kind: "start" };
    if (char === "z") return { kind: "end" };
    return { kind: "char", test: escaped(char) };
  }

  #class(): Test {
    const negated = this.#take("^");
    const tests: Test[] = [];
    for (let first = true; first || this.#peek() !== "]"; first = false) {
      const char = this.#next();
      if (char === "[" && this.#peek() === ":") throw new SyntaxError("a named class");
      if (char === "\\") {
        tests.push(escaped(this.#next()));
      } else if (this.#peek() === "-" && (this.#text[this.#at + 1] ?? "]") !== "]") {
        this.#next();
        const [low, high] = [char.codePointAt(0) as number, this.#next().codePointAt(0) as number];
        if (high < low) throw new SyntaxError("a bad range");
        tests.push((code) => code >= low && code <= high);
      } else tests.push(only(char));
    }
    this.#next();
    return (code) => tests.some((test) => test(code)) !== negated;
  }

  #peek(): string {
    return this.#text[this.#at] ?? "";
  }

  #next(): string {
    const char = this.#text[this.#at++];
    if (char === undefined) throw new SyntaxError("it ends too early");
    return char;
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }
}

function only(char: string): Test {
  const wanted = char.codePointAt(0);
  return (code) => code === wanted;
}

function escaped(char: string): Test {
  const digit: Test = (code) => code >= 48 && code <= 57;
  const word: Test = (code) =>
    digit(code) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95;
  const space: Test = (code) => code === 32 || (code >= 9 && code <= 13 && code !== 11);
  const classes: Readonly<Record<string, Test>> = {
    d: digit,
    D: (code) => !digit(code),
    w: word,
    W: (code) => !word(code),
    s: space,
    S: (code) => !space(code),
    n: only("\n"),
    r: only("\r"),
    t: only("\t"),
  };
  const known = classes[char];
  if (known !== undefined) return known;
  if (/[a-zA-Z0-9]/.test(char)) throw new SyntaxError("an unknown escape");
  return only(char);
}

/** How much may still be emitted; counted in visits, since an empty group emits nothing however often repeated. */
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

/** Follows every way at once through the value, starting anew at each place. */
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

/** Adds all steps that are reached without a character; true when one of them is the match. */
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
