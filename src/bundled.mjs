/**
 * A plugin for Vite that lists the libraries in a bundle: their licenses in LICENSES.txt, their names and versions in
 * bundled.json, from which .ci/sbom.mjs makes the list of components.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const bundled = () => ({
  name: "bundled",
  generateBundle(_options, bundle) {
    const folders = new Set();
    for (const { moduleIds = [] } of Object.values(bundle)) {
      for (const id of moduleIds) {
        const found = /^\0?(.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/.exec(id);
        if (found !== null) folders.add(found[1]);
      }
    }
    const libraries = [...folders].sort().map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
      const text = file === undefined ? "" : readFileSync(join(folder, file), "utf8");
      return { name, version, text: `${name} ${version} (${license})\n\n${text}` };
    });
    const texts = libraries.map(({ text }) => text);
    const names = libraries.map(({ name, version }) => ({ name, version }));
    this.emitFile({
      type: "asset",
      fileName: "LICENSES.txt",
      source: texts.join(`\n${"-".repeat(78)}\n`),
    });
    this.emitFile({ type: "asset", fileName: "bundled.json", source: `${JSON.stringify(names, null, 1)}\n` });
  },
});
