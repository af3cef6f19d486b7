/**
 * Runs the simulator: a hundred seeds with the states that they must reach, the same seeds twice, and a check that every
 * injected bug still applies to the source. test/long/sim.test.ts runs more seeds.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { bugs } from "./bug-score.ts";
import { marks, shortRun, testSeeds } from "./fixed-seeds.ts";

test(
  `${shortRun.seeds} seeds violate no invariant and reach the states that matter`,
  {
    timeout: 840_000,
  },
  () => testSeeds(shortRun, marks),
);

/**
 * Runs in its own process: a power cut inside a promise leaves a rejection, which the test runner counts as a failure.
 */
function hashesOf(seeds: string): string[] {
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const { stdout, status } = spawnSync(process.execPath, [main, "--seeds", seeds], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  assert.equal(status, 0, stdout.slice(-2000));
  return [...stdout.matchAll(/^seed \d+ hash (\w+) ok$/gm)].map(([, hash = ""]) => hash);
}

test("the same seed runs the same events", () => {
  const hashes = hashesOf("7..9");
  assert.deepEqual(hashesOf("7..9"), hashes);
  assert.equal(new Set(hashes).size, 3);
});

test("every injected bug still applies: its text is in the source exactly once", () => {
  const all = bugs();
  assert.ok(all.length >= 49);
  for (const { name, text } of all) {
    const hunks = [...text.matchAll(/(?:^(src\/\S+)\n)?<<<<<<<\n([\s\S]*?)\n=======\n/gm)];
    assert.ok(hunks.length > 0 && hunks.length === text.split("<<<<<<<").length - 1, name);
    let file: string | undefined;
    for (const [, named, before] of hunks) {
      file = named ?? file;
      assert.ok(file !== undefined && before !== undefined, name);
      const source = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
      assert.equal(source.split(before).length - 1, 1, `${name} in ${file}`);
    }
  }
});
