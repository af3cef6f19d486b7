/** The lines that `tailrace produce` prints. */

/** Returns a line for each offset from `first` on: `{"offset":7}`. */
export function offsetLines(first: number, count: number): string {
  let text = "";
  for (let offset = first; offset < first + count; offset++) text += `{"offset":${offset}}\n`;
  return text;
}
