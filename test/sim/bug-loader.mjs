/**
 * node --import ./test/sim/bug-loader.mjs … with SIM_BUG=name: one file of the source is loaded with a bug in it.
 *
 *   bugs/name.patch := about  file  "<<<<<<<" text "=======" text ">>>>>>>"
 *
 * The first text must stand in the file exactly once, or loading fails: a patch that no longer applies is found.
 *
 * Never: writes a file; is used by anything but the bug score.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";

const name = process.env["SIM_BUG"];
if (name !== undefined) {
  const root = new URL("../../", import.meta.url);
  const [, file, before, after] =
    /^[^\n]*\n([^\n]+)\n<<<<<<<\n([\s\S]*)\n=======\n([\s\S]*)\n>>>>>>>\n$/.exec(
      readFileSync(new URL(`./bugs/${name}.patch`, import.meta.url), "utf8"),
    ) ?? [];
  if (file === undefined) throw new Error(`bugs/${name}.patch is not of the form it must have`);
  const target = new URL(file, root).href;
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (url.split("?")[0] !== target) return loaded;
      const source = String(loaded.source);
      const pieces = source.split(before);
      if (pieces.length !== 2) {
        throw new Error(`bugs/${name}.patch: its text stands ${pieces.length - 1} times in ${file}`);
      }
      return { ...loaded, source: pieces.join(after) };
    },
  });
}
