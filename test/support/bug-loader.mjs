/**
 * node --import ./test/support/bug-loader.mjs … with SOURCE_BUG=path of a patch, from the root: files of the source are
 * loaded with a bug in them.
 *
 *   patch := about  (file  ("<<<<<<<" text "=======" text ">>>>>>>")+)+        each on lines of its own
 *
 * The first text must stand in the file exactly once, or loading fails: a patch that no longer applies is found.
 * Without tsx: the patch speaks of the source as it is written.
 *
 * Never: writes a file; is used by anything but a hunt for bugs that were put there on purpose.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";

const root = new URL("../../", import.meta.url).href;
const patch = process.env["SOURCE_BUG"];
if (patch !== undefined) {
  const changes = parse(readFileSync(new URL(patch, root), "utf8"));
  registerHooks({
    // Whoever starts the command compiled gets the sources too.
    resolve(specifier, context, nextResolve) {
      const found = nextResolve(specifier, context);
      if (!found.url.startsWith(`${root}dist/`)) return found;
      const url = found.url.replace(`${root}dist/`, `${root}src/`).replace(/\.js$/, ".ts");
      return { ...found, url, format: "module-typescript" };
    },
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const hunks = changes.get(url.split("?")[0]);
      if (hunks === undefined) return loaded;
      let source = String(loaded.source);
      for (const { before, after } of hunks) {
        const pieces = source.split(before);
        if (pieces.length !== 2) {
          throw new Error(`${patch}: its text stands ${pieces.length - 1} times in ${url}: ${before}`);
        }
        source = pieces.join(after);
      }
      return { ...loaded, source };
    },
  });
}

/** The address of each file → its hunks. */
function parse(text) {
  const changes = new Map();
  let file;
  const pattern =
    /(?:(?<file>[^\n]+)\n)?<<<<<<<\n(?<before>[\s\S]*?)\n=======\n(?:(?<after>[\s\S]*?)\n)?>>>>>>>\n/y;
  for (let at = text.indexOf("\n") + 1; at < text.length; at = pattern.lastIndex) {
    pattern.lastIndex = at;
    const groups = pattern.exec(text)?.groups;
    file = groups?.file ?? file;
    if (groups === undefined || file === undefined)
      throw new Error(`${patch} is not of the form it must have`);
    const target = new URL(file, root).href;
    const hunk = { before: groups.before, after: groups.after ?? "" };
    changes.set(target, [...(changes.get(target) ?? []), hunk]);
  }
  return changes;
}
