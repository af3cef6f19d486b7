/**
 * Limits brackets before the text is parsed: the parser of the library tries several rules at each one, and takes half a second
 * for 250 braces that are not closed.
 */
import { expressionError } from "./expression-error.ts";

const nestingMax = 24;

const closing: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };

/** @throws Fault "bad-request" if brackets are nested too deep, or not closed */
export function checkNesting(text: string): void {
  const open: { readonly close: string; readonly at: number }[] = [];
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === "/" && text[at + 1] === "/") {
      const end = text.indexOf("\n", at);
      at = end < 0 ? text.length : end;
    } else if (char === '"' || char === "'") at = literalEnd(text, at);
    else if (closing[char] !== undefined) {
      open.push({ close: closing[char], at });
      if (open.length > nestingMax)
        throw expressionError(`brackets are nested more than ${nestingMax} deep`, at);
    } else if (char === ")" || char === "]" || char === "}") {
      if (open.pop()?.close !== char) throw expressionError(`"${char}" closes nothing`, at);
    }
  }
  const last = open.at(-1);
  if (last !== undefined) throw expressionError(`"${text[last.at]}" is not closed`, last.at);
}

/** Returns the position of the last character of the literal that begins at `at`. The parser refuses what is no literal. */
function literalEnd(text: string, at: number): number {
  const quote = text[at]!;
  const prefix = /[A-Za-z]{0,2}$/.exec(text.slice(Math.max(0, at - 2), at))?.[0] ?? "";
  const isRaw = /^(?:r|rb|br)$/i.test(prefix);
  const end = text.startsWith(quote.repeat(3), at) ? quote.repeat(3) : quote;
  for (let next = at + end.length; next < text.length; next++) {
    if (!isRaw && text[next] === "\\") next++;
    else if (text.startsWith(end, next)) return next + end.length - 1;
  }
  throw expressionError("a text is not closed", at);
}
