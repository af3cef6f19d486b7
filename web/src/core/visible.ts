/**
 * Makes text safe to show: every control character, bidirectional override and invisible mark becomes visible, so that a
 * record cannot reorder, hide or break the text around it. Control characters become their pictures (Unicode block 2400),
 * all others their code points: `[U+202E]`.
 */

const risky = /[\p{Cc}\u00ad\u061c\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu;

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
