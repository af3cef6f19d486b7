/**
 * Makes text safe to show: every control character, bidirectional override and invisible mark becomes visible, so that a
 * record cannot reorder, hide or break the text around it. Control characters become their pictures (Unicode block 2400),
 * all others their code points: `[U+202E]`.
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are what is replaced.
const risky = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** For one line: line breaks and tabs become signs, too. */
export function visibleLine(text: string): string {
  return text.replace(risky, sign);
}

/** For a block: line feeds and tabs stay what they are. */
export function visibleBlock(text: string): string {
  return text.replace(risky, (found) => (found === "\n" || found === "\t" ? found : sign(found)));
}

function sign(found: string): string {
  const code = found.charCodeAt(0);
  if (code === 0x0a) return "⏎";
  if (code === 0x09) return "⇥";
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "␡";
  return `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
}
