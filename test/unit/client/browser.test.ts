import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "vite";

test("the entry for browsers bundles without Node.js modules and stays small", async () => {
  const entry = fileURLToPath(new URL("../../../src/client/browser.ts", import.meta.url));
  const foreign: string[] = [];
  const built = await build({
    configFile: false,
    logLevel: "silent",
    build: { write: false, minify: true, lib: { entry, formats: ["es"] }, rolldownOptions: { external: [] } },
    plugins: [
      {
        name: "no-node",
        enforce: "pre",
        resolveId(id) {
          if (id.startsWith("node:") || id.includes("connect-node")) foreign.push(id);
          return null;
        },
      },
    ],
  });
  assert.deepEqual(foreign, []);
  assert.ok(Array.isArray(built));
  const [chunk] = built[0]!.output;
  assert.ok(chunk.code.includes("tailrace"));
  assert.ok(chunk.code.length < 300_000, `${chunk.code.length} bytes`);
});
