/**
 * Limits a regular expression before it is compiled: the library expands `(a{30}){30}` first, folds the case of a range one code point
 * after the other, and tests each code point of Unicode for the first \p{…} of a name. Only what is certainly too much is refused here.
 *
 *   instructions   characters and classes, multiplied by {n,m}
 *   folded         code points in the ranges of classes, if the expression has the flag i
 *   classes        \pL, \p{Han}, \P{Han}
 */

/** Instructions before they are simplified. The limit of the program is stricter. */
const instructionsMax = 2_000;
/** About 5 ms of the processor. */
const foldedMax = 40_000;
const classesMax = 16;
/** Names of classes in one filter: the first use of a name takes about 20 ms in the life of a process. */
const classNamesMax = 2;

/** Measures the expressions of one filter. */
export class PatternSize {
  readonly #names = new Set<string>();

  /** @throws Error that says what is too large */
  check(pattern: string): void {
    const scan = new PatternScan(pattern);
    scan.run();
    if (scan.instructions > instructionsMax)
      throw new Error(
        `the regular expression is too large: about ${scan.instructions} instructions before it is simplified, the limit is ${instructionsMax}`,
      );
    if (scan.folded > foldedMax)
      throw new Error(
        `the regular expression ignores case in ranges of ${scan.folded} characters, the limit is ${foldedMax}`,
      );
    if (scan.classes.length > classesMax)
      throw new Error(`the regular expression has more than ${classesMax} Unicode classes (\\p, \\P)`);
    for (const name of scan.classes) this.#names.add(name);
    if (this.#names.size > classNamesMax)
      throw new Error(
        `the regular expressions of a filter use at most ${classNamesMax} different Unicode classes (\\p, \\P)`,
      );
  }
}

const repeat = /\{(\d{1,9})(?:(,)(\d{0,9}))?\}/y;
/** A class by its letter or name, a code point in hexadecimal or octal digits, a quoted text, any other escape. */
const escaped =
  /\\(?:[pP](?:\{([^}]*)\}|(.))|x(?:\{([0-9a-fA-F]{1,8})\}|([0-9a-fA-F]{2}))|([0-7]{1,3})|(.))/suy;
const posixClass = /\[:[^:\]]*:\]/y;

class PatternScan {
  readonly classes: string[] = [];
  folded = 0;
  readonly #text: string;
  readonly #foldsCase: boolean;
  /** Instructions of the groups that are open; the last one is the innermost. */
  readonly #open: number[] = [0];
  /** Instructions of what a repetition would repeat. */
  #last = 0;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#foldsCase = /\(\?[a-zA-Z]*i/.test(text);
  }

  get instructions(): number {
    return this.#open.reduce((sum, each) => sum + each, 0);
  }

  run(): void {
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at]!;
      if (char === "(") this.#begin();
      else if (char === ")") this.#end();
      else if (char === "[") this.#class();
      else if (char === "\\") this.#escaped();
      else if (char === "*" || char === "+" || char === "?") this.#repeated(1, 1, 1);
      else if (!(char === "{" && this.#counted())) this.#add(1, 1);
    }
  }

  /** Adds a part that can be repeated, of so many characters of the text. */
  #add(instructions: number, chars: number): void {
    this.#open.push(this.#open.pop()! + instructions);
    this.#last = instructions;
    this.#at += chars;
  }

  #begin(): void {
    this.#open.push(2);
    this.#at++;
    // The flags or the name of the group.
    if (this.#text[this.#at] !== "?") return;
    const end = this.#text.slice(this.#at).search(/[:)>]/);
    if (end < 0) return;
    this.#at += end;
    if (this.#text[this.#at] !== ")") this.#at++;
  }

  #end(): void {
    if (this.#open.length === 1) this.#add(1, 1);
    else this.#add(this.#open.pop()!, 1);
  }

  #repeated(copies: number, more: number, chars: number): void {
    const all = this.#last * copies + more;
    this.#open.push(this.#open.pop()! + all - this.#last);
    this.#last = all;
    this.#at += chars;
  }

  /** Returns whether the braces at this place are a count. */
  #counted(): boolean {
    repeat.lastIndex = this.#at;
    const [found, from, comma, to] = repeat.exec(this.#text) ?? [];
    if (found === undefined) return false;
    const most = to === undefined || to === "" ? Number(from) : Number(to);
    this.#repeated(
      Math.max(1, most),
      comma === undefined ? 0 : 1 + Math.max(0, most - Number(from)),
      found.length,
    );
    return true;
  }

  #escaped(): void {
    if (this.#text.startsWith("\\Q", this.#at)) {
      const end = this.#text.indexOf("\\E", this.#at + 2);
      const to = end < 0 ? this.#text.length : end;
      const chars = to - this.#at - 2;
      this.#add(chars, Math.min(chars + 4, this.#text.length - this.#at));
      this.#last = Math.min(1, chars);
    } else {
      const at = this.#at;
      this.#codePoint();
      const chars = this.#at - at;
      this.#at = at;
      this.#add(1, chars);
    }
  }

  /** Reads a character of a class, and returns its code point; undefined for a class in the class. */
  #codePoint(): number | undefined {
    posixClass.lastIndex = this.#at;
    const posix = posixClass.exec(this.#text);
    if (posix !== null) {
      this.#at += posix[0].length;
      return undefined;
    }
    escaped.lastIndex = this.#at;
    const found = escaped.exec(this.#text);
    if (found === null) {
      const point = this.#text.codePointAt(this.#at) ?? 0;
      this.#at += point > 0xffff ? 2 : 1;
      return point;
    }
    this.#at += found[0].length;
    const [, name, letter, braced, hex, octal, other] = found;
    const className = name ?? letter;
    if (className !== undefined) {
      this.classes.push(className.replace(/^\^/, ""));
      return undefined;
    }
    if (octal !== undefined) return Number.parseInt(octal, 8);
    const digits = braced ?? hex;
    if (digits !== undefined) return Number.parseInt(digits, 16);
    return /[dDsSwW]/.test(other ?? "") ? undefined : other?.codePointAt(0);
  }

  #class(): void {
    const begin = this.#at;
    this.#at++;
    if (this.#text[this.#at] === "^") this.#at++;
    for (
      let first = true;
      this.#at < this.#text.length && (first || this.#text[this.#at] !== "]");
      first = false
    ) {
      const low = this.#codePoint();
      const next = this.#text[this.#at + 1];
      if (low === undefined || this.#text[this.#at] !== "-" || next === undefined || next === "]") continue;
      this.#at++;
      const high = this.#codePoint();
      if (this.#foldsCase && high !== undefined && high > low) this.folded += high - low + 1;
    }
    const chars = this.#at + 1 - begin;
    this.#at = begin;
    this.#add(1, chars);
  }
}
