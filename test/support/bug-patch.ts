/**
 * A source file with an injected bug.
 *
 *   patch := description  (file  ("<<<<<<<" text "=======" text ">>>>>>>")+)+        each on its own lines
 *
 * The first text must be in the file exactly once, so that an outdated patch is noticed.
 */
export interface Hunk {
  readonly before: string;
  readonly after: string;
}

const block =
  /(?:(?<file>[^\n]+)\n)?<<<<<<<\n(?<before>[\s\S]*?)\n=======\n(?:(?<after>[\s\S]*?)\n)?>>>>>>>\n/y;

/**
 * Returns the hunks of each file, by its path from the root.
 * @throws Error if the text is not a patch
 */
export function parsePatch(text: string): ReadonlyMap<string, readonly Hunk[]> {
  const changes = new Map<string, Hunk[]>();
  let file: string | undefined;
  for (let at = text.indexOf("\n") + 1; at < text.length; at = block.lastIndex) {
    block.lastIndex = at;
    const found = block.exec(text)?.groups;
    file = found?.["file"] ?? file;
    if (found === undefined || file === undefined) throw new Error("this is not the format of a patch");
    const { before = "", after = "" } = found;
    changes.set(file, [...(changes.get(file) ?? []), { before, after }]);
  }
  return changes;
}

/** @throws Error if the first text of a hunk is not in the source exactly once */
export function patched(source: string, hunks: readonly Hunk[]): string {
  return hunks.reduce((text, { before, after }) => {
    const pieces = text.split(before);
    if (pieces.length !== 2)
      throw new Error(`its text is there ${pieces.length - 1} times, not once: ${before}`);
    return pieces.join(after);
  }, source);
}
