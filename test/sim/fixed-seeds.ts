/**
 * The fixed seeds of the tests: a hundred in `sim`, and three hundred in `long`. Each run must violate no invariant and
 * reach the states of the protocol that matter.
 */
import assert from "node:assert/strict";
import { runSeeds } from "./run-summary.ts";

/** The seeds of `sim`. They reach each of the marks several times, so a small change of timing loses none. */
export const shortRun = { first: 9_200_001, seeds: 100 } as const;

/** The seeds of `long`, with those of `sim`. They reach the rare marks several times, too. */
export const longRun = { first: 9_200_001, seeds: 300 } as const;

/** States that every run must reach. */
export const marks: readonly string[] = [
  "became",
  "condition-failed",
  "condition-held",
  "conflict-found",
  "configuration-switched",
  "cursor-committed",
  "cursor-deleted",
  "cursor-expired",
  "cursor-expiry-passed-over",
  "cursor-not-found",
  "cursor-of-deleted-log-deleted",
  "cursor-read",
  "cursor-refused",
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
  "targeted-fault",
  "sync-failed",
  "tail-opened",
  "transfer-started",
  "unstable-replaced",
  "vote-ignored",
];

/** States that only the long run must reach: rare ones, and those of backups, which one seed in six makes. */
export const rareMarks: readonly string[] = [
  "auto-leave-postponed",
  "backup-completed",
  "backup-locked",
  "backup-restored",
  "bucket-cut",
  "bucket-deleted",
  "bucket-down",
  "bucket-list-lagged",
  "named-duplicate",
  "stream-continued",
];

export interface FixedRun {
  readonly first: number;
  readonly seeds: number;
}

/** Runs the seeds in two threads. Throws an AssertionError that names a seed with a violation, or the missing marks. */
export async function testSeeds({ first, seeds }: FixedRun, expected: readonly string[]): Promise<void> {
  const { failed, marks: seen, acked, faults } = await runSeeds(first, first + seeds - 1, 2);
  const [worst] = failed;
  assert.equal(
    worst,
    undefined,
    `${worst?.detail}\n\n${failed.length} failed; to repeat: npm run -s sim -- --seed ${worst?.seed}`,
  );
  console.log(`${seeds} seeds, ${acked} acknowledged, ${faults} faults`);
  assert.deepEqual(
    expected.filter((mark) => !seen.has(mark)),
    [],
  );
  assert.ok(acked > 10_000);
}
