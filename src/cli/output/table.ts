/** Tables for people: columns as wide as necessary, numbers aligned to the right. */
import { printable } from "./terminal.ts";

/** Formats the rows under their head. Control characters in strings are escaped. */
export function table(head: readonly string[], cells: readonly (readonly (string | number)[])[]): string {
  const rows = cells.map((row) => row.map((cell) => (typeof cell === "string" ? printable(cell) : cell)));
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => String(row[column]).length)));
  const isNumber = head.map((_, column) => rows.every((row) => typeof row[column] === "number"));
  const line = (row: readonly (string | number)[]): string =>
    row
      .map((cell, column) => {
        const text = String(cell);
        return isNumber[column] ? text.padStart(widths[column]!) : text.padEnd(widths[column]!);
      })
      .join("  ")
      .trimEnd();
  return `${all.map(line).join("\n")}\n`;
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
