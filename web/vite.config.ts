/**
 * Builds the dashboard into web/dist: one page and hashed assets, each also compressed, so that a node only sends files.
 * The page's content policy forbids inline scripts and styles.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const dist = join(import.meta.dirname, "dist");

/** Writes FILE.br and FILE.gz beside every file that becomes smaller. */
const precompress: Plugin = {
  name: "precompress",
  apply: "build",
  enforce: "post",
  writeBundle() {
    for (const name of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
      if (!/\.(js|css|html|svg)$/.test(name)) continue;
      const bytes = readFileSync(join(dist, name));
      writeFileSync(join(dist, `${name}.br`), brotliCompressSync(bytes));
      writeFileSync(join(dist, `${name}.gz`), gzipSync(bytes, { level: 9 }));
    }
  },
};

/** Leaves protobuf's JSON format and text format out of the page (see binary-only.js and proto2-defaults.js). */
const binaryOnly: Plugin = {
  name: "binary-only",
  enforce: "pre",
  apply: "build",
  resolveId(source, importer) {
    if (importer?.includes("@bufbuild/protobuf") !== true) return undefined;
    if (/\/(from|to)-json\.js$/.test(source)) return join(import.meta.dirname, "binary-only.js");
    return source.endsWith("/text-format.js") ? join(import.meta.dirname, "proto2-defaults.js") : undefined;
  },
};

const node = process.env["TAILRACE_ADDR"] ?? "127.0.0.1:8080";

export default defineConfig({
  root: import.meta.dirname,
  base: "/ui/",
  plugins: [binaryOnly, precompress],
  worker: { format: "es" },
  build: {
    outDir: "dist",
    target: ["chrome123", "firefox120", "safari17.5"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: { "^/log\\.v1\\.": `http://${node}`, "^/tail": `http://${node}` } },
});
