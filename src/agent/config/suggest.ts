/**
 * Suggests a known name for a mistyped one. Pure.
 */

/** The nearest name in `known` with at most one edit per three letters; undefined if there is none. */
export function nearest(found: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(found.length / 3)) + 1;
  for (const name of known) {
    const edits = distance(found, name, least);
    if (edits < least) [best, least] = [name, edits];
  }
  return best;
}

/** `, did you mean X?`, or an empty text. */
export function hint(found: string, known: readonly string[], prefix = ""): string {
  const name = nearest(found, known);
  return name === undefined ? "" : `, did you mean ${prefix}${name}?`;
}

/** Damerau–Levenshtein distance (insert, delete, replace, swap two neighbors); `limit` if it is at least that. */
function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let edits = Math.min(row[j - 1]! + 1, previous[j]! + 1, previous[j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        edits = Math.min(edits, before[j - 2]! + 1);
      }
      row.push(edits);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}
