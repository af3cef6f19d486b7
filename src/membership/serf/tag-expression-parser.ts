/**
 * Parses the regular expressions of query filters into a tree: the common part of RE2's syntax (literals, `.`,
 * classes, groups, alternatives, `* + ? {n,m}`, `^ $`, `\d \w \s`).
 */

/** Returns whether a code point matches. */
export type Test = (code: number) => boolean;
/** A parsed expression. */
export type Node =
  | { readonly kind: "char"; readonly test: Test }
  | { readonly kind: "start" | "end" }
  | { readonly kind: "sequence" | "either"; readonly parts: readonly Node[] }
  | { readonly kind: "repeat"; readonly part: Node; readonly low: number; readonly high: number };

const depthMax = 32;
const repeatMax = 1_000;
/** Longest group name, with its brackets. Without a limit, each group would copy the rest of the expression. */
const nameCharsMax = 256;

/** Parses one expression. */
export class TagExpressionParser {
  readonly #text: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(expression: string) {
    this.#text = [...expression];
  }

  /** @throws SyntaxError if the expression is malformed, nested too deeply, or uses unsupported syntax */
  parse(): Node {
    const node = this.#either();
    if (this.#at < this.#text.length) throw new SyntaxError("a group is closed twice");
    return node;
  }

  #either(): Node {
    if (++this.#depth > depthMax) throw new SyntaxError("nested too deeply");
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
      this.#take("?"); // A lazy quantifier matches the same values.
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
    const found = /^P?<\w+>/.exec(this.#text.slice(this.#at, this.#at + nameCharsMax).join(""));
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
    if (char === undefined) throw new SyntaxError("unexpected end");
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
