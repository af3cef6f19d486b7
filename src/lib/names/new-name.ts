/**
 * What the names of new logs and cursors must not have beyond log-name.ts: invisible characters, and those that make one
 * name look like another. Pure.
 *
 *   refused := default ignorable (zero width, direction of text, fillers) | format | unassigned | line separators | U+FFFD
 *   emoji   := element *( ZWJ element )     element := pictograph [ selector | skin tone ] | flag tags | keycap
 *
 * What is inside of an emoji is not refused (UTS #51). The rule holds when a name is created, and never for what is there: logs
 * of earlier versions can have such names. It follows the version of Unicode of the runtime, so only a leader applies it.
 */
import { codePointOf } from "./log-name.ts";

const element = "\\p{Extended_Pictographic}(?:[\\ufe0e\\ufe0f]|\\p{Emoji_Modifier})?";
const flagTags = "\\u{1f3f4}[\\u{e0030}-\\u{e0039}\\u{e0061}-\\u{e007a}]{3,6}\\u{e007f}";
const keycap = "[0-9#]\\ufe0f\\u20e3";
const emoji = new RegExp(`${flagTags}|${keycap}|${element}(?:\\u200d${element})*`, "gu");

const refused = /[\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\p{Cn}\p{Zl}\p{Zp}\ufffd]/u;

/** What a refused character is: the first that fits. */
const kinds: readonly (readonly [RegExp, string])[] = [
  [/\ufffd/, "which stands for bytes that are not UTF-8"],
  [/\p{Bidi_Control}/u, "which changes the direction of text"],
  [/[\p{Zl}\p{Zp}]/u, "which separates lines"],
  [/\p{Cc}/u, "a control character"],
  [/\p{Default_Ignorable_Code_Point}/u, "which is not visible"],
  [/\p{Cn}/u, "which is not assigned"],
];

/** Returns what is wrong with the name of a new log or cursor whose name is valid (log-name.ts); undefined if it can be created. */
export function newNameFlawOf(name: string): string | undefined {
  const found = refused.exec(name.replace(emoji, ""))?.[0];
  if (found === undefined) return undefined;
  const [, kind = "which is not visible"] = kinds.find(([pattern]) => pattern.test(found)) ?? [];
  return `must not have the character ${codePointOf(found)}, ${kind}`;
}
