/**
 * Builds the handbook into web/handbook/dist, which a node serves at /docs/. Each file is also compressed.
 *
 *   node web/handbook/build.mjs [--prepare]
 *
 * `--prepare` is for npm's prepare script: a failure is then reported, but does not fail the installation, because a node
 * works without the handbook (/docs/ answers 503 and says what to run).
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");
const isLenient = process.argv.includes("--prepare");

try {
  if (!existsSync(join(here, "../../node_modules/marked")))
    throw new Error("marked is not installed (dev dependencies left out)");
  // The reference shows the defaults of the program, and not those of this environment.
  for (const name of Object.keys(process.env)) if (name.startsWith("TAILRACE_")) delete process.env[name];
  const { site } = await import("./site.ts");
  const files = await site();
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(join(dist, "assets"), { recursive: true });
  for (const [name, text] of files) {
    writeFileSync(join(dist, name), text);
    writeFileSync(join(dist, `${name}.br`), brotliCompressSync(text));
    writeFileSync(join(dist, `${name}.gz`), gzipSync(text, { level: 9 }));
  }
} catch (error) {
  const line = "!".repeat(78);
  console.error(`${line}\nThe handbook was NOT built: ${error instanceof Error ? error.message : error}`);
  console.error(`/docs/ will answer 503 until "npm run build:docs" succeeds.\n${line}`);
  process.exitCode = isLenient ? 0 : 1;
}
