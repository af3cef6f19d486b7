/**
 * The simulator in the tests: three hundred worlds, the same world twice, the states they must have visited, and each
 * of the injected bugs still applying to the source.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { bugs } from "./bug-score.ts";
import { runSeeds } from "./tally.ts";

const seeds = 300;
/** In the worlds from here on each of the marks below is met several times, so that a change of timing does not lose one. */
const firstSeed = 9_200_001;
/** States of the protocol that a run of this many seeds must have met. */
const marks = [
  "auto-leave-postponed",
  "became",
  "condition-failed",
  "condition-held",
  "conflict-found",
  "configuration-switched",
  "disk-full",
  "duplicate-answered",
  "forgets",
  "forwarded",
  "kill",
  "leader-connection-lost",
  "narrow",
  "numbered-stream-went-on",
  "paused-for-snapshot",
  "power-cut",
  "quorum-lost",
  "read-bounded",
  "read-linearizable",
  "read-session",
  "refused-rolled-back",
  "rivals",
  "rolled-back",
  "snapshot-installed",
  "split",
  "stale-storage-response",
  "stall",
  "stream-ended",
  "stream-went-on",
  "struck",
  "sync-failed",
  "tail-opened",
  "transfer-started",
  "unstable-replaced",
  "vote-ignored",
];

test(`${seeds} worlds keep every promise, and between them visit what matters`, {
  timeout: 840_000,
}, async () => {
  const { failed, marks: seen, acked, faults } = await runSeeds(firstSeed, firstSeed + seeds - 1, 2);
  const [worst] = failed;
  assert.equal(
    worst,
    undefined,
    `${worst?.detail}\n\n${failed.length} failed; again: npm run -s sim -- --seed ${worst?.seed}`,
  );
  console.log(`${seeds} seeds, ${acked} acknowledged, ${faults} faults`);
  assert.deepEqual(
    marks.filter((mark) => !seen.has(mark)),
    [],
  );
  assert.ok(acked > 10_000);
});

/** In a process of its own: a node whose power goes in a promise leaves a rejection that the test runner calls a failure. */
function hashOf(seed: string): string {
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const { stdout, status } = spawnSync(process.execPath, ["--import", "tsx", main, "--seed", seed], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const [, hash] = /^seed \d+ hash (\w+) ok$/m.exec(stdout) ?? [];
  assert.ok(status === 0 && hash !== undefined, stdout.slice(-2000));
  return hash;
}

test("the same seed is the same world, event for event", () => {
  const hashes = new Set<string>();
  for (const seed of ["7", "153", "235"]) {
    const [first, second] = [hashOf(seed), hashOf(seed)];
    assert.equal(first, second);
    hashes.add(first);
  }
  assert.equal(hashes.size, 3);
});

test("every injected bug still applies: its text stands exactly once in the source", () => {
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
