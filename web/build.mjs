/**
 * Builds the dashboard. `--prepare` is for npm's prepare script: a failure is then reported, but does not fail the
 * installation, because a node works without the dashboard (/ui/ answers 503 and says what to run).
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundled } from "../src/bundled.mjs";

const web = dirname(fileURLToPath(import.meta.url));
const lenient = process.argv.includes("--prepare");

try {
  if (!existsSync(join(web, "../node_modules/vite")))
    throw new Error("vite is not installed (dev dependencies left out)");
  const { build } = await import("vite");
  await build({
    configFile: join(web, "vite.config.ts"),
    logLevel: lenient ? "error" : "info",
    plugins: [bundled()],
  });
} catch (error) {
  const line = "!".repeat(78);
  console.error(`${line}\nThe dashboard was NOT built: ${error instanceof Error ? error.message : error}`);
  console.error(`/ui/ will answer 503 until "npm run build:web" succeeds.\n${line}`);
  process.exitCode = lenient ? 0 : 1;
}
