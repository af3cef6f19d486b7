/**
 * Each rule of tails of several logs, of session tokens, and of reads of a log whose batches lie between those of others, has a
 * test that finds it broken: the patches of test/defects/tails break one each.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const core = ["test/unit/log/read/logs-tail.test.ts", "test/unit/log/read/tail-watch.test.ts"];
const gathering = ["test/unit/log/read/gather-batches.test.ts"];
const opening = ["test/unit/replication/logs/follow-logs.test.ts"];
/** The tests that find a defect; by default those of the core. */
const finders: Readonly<Record<string, readonly string[]>> = {
  "gathered-gap": gathering,
  "gathered-other-log": gathering,
  "gathered-uncommitted": gathering,
  "life-ignored": opening,
  "successor-followed": opening,
  "lowest-ignored": opening,
  "seen-token-ignored": ["test/wire/api/seen-token.test.ts"],
  "token-of-record-before": ["test/wire/client/tail-logs.test.ts"],
};

for (const path of globSync("test/defects/tails/*.patch", { cwd: root }).sort()) {
  const name = basename(path, ".patch");
  test(`a test finds the defect ${name}`, async () => {
    const files = finders[name] ?? core;
    const loader = join(root, "test/support/bug-loader.mjs");
    const child = spawn(process.execPath, ["--import", loader, "--test", "--test-timeout=20000", ...files], {
      cwd: root,
      env: { ...process.env, SOURCE_BUG: path, NODE_TEST_CONTEXT: undefined },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let out = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        out += chunk.toString();
      });
    const [code] = (await once(child, "close")) as [number];
    assert.doesNotMatch(out, /its text is in/, "the patch fits the source");
    assert.notEqual(code, 0, out.slice(-2000));
  });
}
