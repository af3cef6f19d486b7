/**
 * node --import ./test/support/bug-loader.mjs … with SOURCE_BUG=PATCH (a path from the root, see bug-patch.ts): loads source
 * files with an injected bug.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { parsePatch, patched } from "./bug-patch.ts";

const root = new URL("../../", import.meta.url).href;
const patch = process.env["SOURCE_BUG"];
if (patch !== undefined) {
  const changes = parsePatch(readFileSync(new URL(patch, root), "utf8"));
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
      const [path = ""] = url.split("?");
      const hunks = path.startsWith(root) ? changes.get(path.slice(root.length)) : undefined;
      if (hunks === undefined) return loaded;
      try {
        return { ...loaded, source: patched(String(loaded.source), hunks) };
      } catch (cause) {
        throw new Error(`${patch} does not apply to ${path}: ${cause.message}`, { cause });
      }
    },
  });
}
