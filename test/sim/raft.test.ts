/**
 * Runs the simulator: 300 seeds with the states that they must reach, the same seed twice, and a check that every
 * injected bug still applies to the source.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { bugs } from "./bug-score.ts";
import { runSeeds } from "./run-summary.ts";

const seeds = 300;
/** From this seed on, 300 seeds reach each of the marks below several times, so a small change of timing loses none. */
const firstSeed = 9_200_001;
/** States of the protocol that the run must reach. */
const marks = [
  "auto-leave-postponed",
  "backup-completed",
  "backup-locked",
  "backup-restored",
  "became",
  "bucket-cut",
  "bucket-deleted",
  "bucket-down",
  "bucket-list-lagged",
  "condition-failed",
  "condition-held",
  "conflict-found",
  "configuration-switched",
  "disk-full",
  "duplicate-answered",
  "stall-then-crash",
  "forwarded",
  "kill",
  "merged",
  "leader-connection-lost",
  "log-created",
  "log-delete",
  "log-forked",
  "log-touched",
  "named-acked",
  "named-duplicate",
  "named-tail",
  "narrow-links",
  "numbered-stream-continued",
  "paused-for-snapshot",
  "power-cut",
  "quota-exceeded",
  "quorum-lost",
  "read-bounded",
  "read-linearizable",
  "read-session",
  "rejected-rolled-back",
  "alternating-leaders",
  "rolled-back",
  "settled",
  "settled-applied",
  "snapshot-installed",
  "split",
  "stale-storage-response",
  "stall",
  "stream-duplicate",
  "stream-ended",
  "stream-continued",
  "targeted-fault",
  "sync-failed",
  "tail-opened",
  "transfer-started",
  "unstable-replaced",
  "vote-ignored",
];

test(`${seeds} seeds violate no invariant and reach the states that matter`, {
  timeout: 840_000,
}, async () => {
  const { failed, marks: seen, acked, faults } = await runSeeds(firstSeed, firstSeed + seeds - 1, 2);
  const [worst] = failed;
  assert.equal(
    worst,
    undefined,
    `${worst?.detail}\n\n${failed.length} failed; to repeat: npm run -s sim -- --seed ${worst?.seed}`,
  );
  console.log(`${seeds} seeds, ${acked} acknowledged, ${faults} faults`);
  assert.deepEqual(
    marks.filter((mark) => !seen.has(mark)),
    [],
  );
  assert.ok(acked > 10_000);
});

/**
 * Runs in its own process: a power cut inside a promise leaves a rejection, which the test runner counts as a failure.
 */
function hashOf(seed: string): string {
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const { stdout, status } = spawnSync(process.execPath, [main, "--seed", seed], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const [, hash] = /^seed \d+ hash (\w+) ok$/m.exec(stdout) ?? [];
  assert.ok(status === 0 && hash !== undefined, stdout.slice(-2000));
  return hash;
}

test("the same seed runs the same events", () => {
  const hashes = new Set<string>();
  for (const seed of ["7", "153", "235"]) {
    const [first, second] = [hashOf(seed), hashOf(seed)];
    assert.equal(first, second);
    hashes.add(first);
  }
  assert.equal(hashes.size, 3);
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
