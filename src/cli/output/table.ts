/** Tables for people: columns as wide as necessary, numbers aligned to the right. */
import { printable } from "./terminal.ts";

/** Formats the rows under their head. Control characters in strings are escaped. */
export function table(head: readonly string[], cells: readonly (readonly (string | number)[])[]): string {
  const rows = cells.map((row) => row.map((cell) => (typeof cell === "string" ? printable(cell) : cell)));
  const all = [head, ...rows];
  const widths = head.map((_, column) =>
    all.reduce((most, row) => Math.max(most, columnsOf(String(row[column]))), 0),
  );
  const isNumber = head.map((_, column) => rows.every((row) => typeof row[column] === "number"));
  const line = (row: readonly (string | number)[]): string =>
    row
      .map((cell, column) => {
        const text = String(cell);
        const space = " ".repeat(widths[column]! - columnsOf(text));
        return isNumber[column] ? space + text : text + space;
      })
      .join("  ")
      .trimEnd();
  return `${all.map(line).join("\n")}\n`;
}

/** What a terminal shows in two columns: emoji, and the wide characters of East Asia. */
const wide =
  /[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u;
const narrow = /^[\x20-\x7e]*$/;
const graphemes = new Intl.Segmenter("en");

/** The columns of a text in a terminal. A character with its marks, and an emoji of several, counts once. */
function columnsOf(text: string): number {
  if (narrow.test(text)) return text.length;
  let columns = 0;
  for (const { segment } of graphemes.segment(text))
    columns += wide.test(segment) || segment.includes("\ufe0f") ? 2 : 1;
  return columns;
}

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Formats bytes, such as `1.5 MiB`. */
export function bytesText(bytes: number): string {
  const unit = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return unit === 0 ? `${bytes} B` : `${(bytes / 2 ** (10 * unit)).toFixed(1)} ${units[unit]}`;
}

/** A time beyond the range of Date is printed as a number: the log's limit is 2^53. */
export function timeText(milliseconds: number): string {
  if (milliseconds === 0) return "-";
  const time = new Date(milliseconds);
  return Number.isNaN(time.getTime()) ? `${milliseconds} ms` : time.toISOString();
}
