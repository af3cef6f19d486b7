/**
 * node --import ./test/support/bug-loader.mjs … with SOURCE_BUG=PATCH (a path from the root): loads source files with an
 * injected bug.
 *
 *   patch := description  (file  ("<<<<<<<" text "=======" text ">>>>>>>")+)+        each on its own lines
 *
 * The first text must be in the file exactly once. Otherwise loading fails, so that an outdated patch is noticed. It cannot
 * be combined with tsx: a patch matches the text of the source.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";

const root = new URL("../../", import.meta.url).href;
const patch = process.env["SOURCE_BUG"];
if (patch !== undefined) {
  const changes = parse(readFileSync(new URL(patch, root), "utf8"));
  registerHooks({
    // A process that runs the compiled command loads the sources instead.
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
          throw new Error(`${patch}: its text is in ${url} ${pieces.length - 1} times, not once: ${before}`);
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
      throw new Error(`${patch} does not have the format of a patch`);
    const target = new URL(file, root).href;
    const hunk = { before: groups.before, after: groups.after ?? "" };
    changes.set(target, [...(changes.get(target) ?? []), hunk]);
  }
  return changes;
}
