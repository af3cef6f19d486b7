/** Tables and text of Markdown for the generated reference. */

/** The text in one cell: on one line, without a column mark. */
const cellOf = (text: string): string => text.replaceAll(/\s*\n\s*/g, " ").replaceAll(/(?<!\\)\|/g, "\\|");

/** Returns a table of Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cellOf).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** The text as code; nothing for an empty one. */
export const code = (text: string): string => (text === "" ? "" : `\`${text}\``);

/** The number with separators: `65,536`. */
export const grouped = (value: number): string => value.toLocaleString("en-US");

/** The number of bytes in the largest unit that fits: `4 MiB`. */
export function bytes(value: number): string {
  for (const [unit, size] of [
    ["GiB", 2 ** 30],
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10],
  ] as const)
    if (value >= size && value % (size / 16) === 0) return `${value / size} ${unit}`;
  return `${grouped(value)} B`;
}

/** The text with what Markdown would read as a mark: for comments and help, which are not written as Markdown. */
export const plain = (text: string): string => text.replaceAll(/[\\`*_[\]<>#|]/g, "\\$&");
