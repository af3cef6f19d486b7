/** The tests of stored rows with many trials, and with bugs that they must find. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { ended, environment, root } from "../support/process/process.ts";

const loader = pathToFileURL(join(root, "test/support/bug-loader.mjs")).href;
const unit = "test/unit/rows/sqlite";

/** Runs the tests of one file. The worker loads its files with the patch too. */
async function run(
  file: string,
  more: Readonly<Record<string, string>>,
): Promise<{ status: number; out: string }> {
  const words = ["--test", "--test-reporter=tap", "--test-timeout=800000", file];
  const env = { ...environment(), ...more };
  const { status, out, err } = await ended(spawn(process.execPath, words, { cwd: root, env }));
  return { status: status ?? -1, out: out + err };
}

test("three thousand flipped bits give no wrong row and hide none", { timeout: 900_000 }, async (t) => {
  const { status, out } = await run(`${unit}/damage.test.ts`, { TRIALS: "3000" });
  for (const [found] of out.matchAll(/\{"refused.*?\}/g)) t.diagnostic(found);
  assert.equal(status, 0, out);
});

test("sixty kills lose no write and leave no half of one", { timeout: 900_000 }, async (t) => {
  const { status, out } = await run(`${unit}/kill.test.ts`, { KILLS: "60" });
  t.diagnostic(/\d+ writes, \d+ kills/.exec(out)?.[0] ?? "");
  assert.equal(status, 0, out);
});

for (const patch of globSync("test/unit/rows/bugs/*.patch", { cwd: root }).sort()) {
  const [file = "", about = ""] = readFileSync(join(root, patch), "utf8").split("\n")[0]!.split(": ");
  test(`found when it is put in: ${about}`, { timeout: 300_000 }, async () => {
    const { out } = await run(file, {
      SOURCE_BUG: patch,
      NODE_OPTIONS: `--import=${loader}`,
      KILLS: "30",
      TRIALS: "1000",
    });
    assert.match(out, /^not ok \d+ - /m);
    assert.doesNotMatch(out, /times, not once|does not have the format/);
  });
}
