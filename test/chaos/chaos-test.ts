/**
 * A chaos run as a test, in a process of its own like `npm run chaos`. The test fails if a rule is violated, or if too few
 * faults and appends happened.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { ended, environment, root } from "../support/process/process.ts";
import type { ChaosReport } from "./chaos.ts";

export interface Trial {
  readonly nodes: number;
  readonly seconds: number;
  readonly seed: number | string;
  readonly tempo: number;
  readonly rate: number;
  /** The run continues until this has happened, for at most three times as long; with `every` six times. */
  readonly faults: number;
  readonly acked: number;
  /** Every fault must happen. */
  readonly every?: true;
  /** Mutual TLS. */
  readonly tls?: true;
}

export async function testChaos(t: TestContext, trial: Trial): Promise<void> {
  const { nodes, seconds, seed, tempo, rate, faults, acked } = trial;
  const words = Object.entries({ nodes, minutes: seconds / 60, seed, tempo, rate, faults, acked });
  const script = join(root, "test/chaos/main.ts");
  const flags = words.flatMap(([name, value]) => [`--${name}`, String(value)]);
  const args = [
    script,
    ...flags,
    ...(trial.every === true ? ["--every"] : []),
    ...(trial.tls === true ? ["--tls"] : []),
  ];
  const child = spawn(process.execPath, args, { cwd: root, env: environment() });
  t.after(() => child.kill("SIGTERM"));
  const { out, err } = await ended(child);
  const at = out.indexOf("\n{");
  assert.ok(at >= 0, `the run did not end: ${out}${err}`);
  const { violations, directory, ...report } = JSON.parse(out.slice(at)) as ChaosReport;
  const { injected, counts, named, records, healedMs } = report;
  t.diagnostic(
    `${injected} faults injected, ${counts.acked} appends acknowledged, ${named.acked} to ${named.logs} named logs, ` +
      `of which ${named.deleted} were deleted; healed after ${healedMs} ms`,
  );
  t.diagnostic(JSON.stringify(report));
  assert.deepEqual(violations, [], `seed ${seed}; history and logs are in ${directory}\n${out.slice(0, at)}`);
  assert.ok(injected >= faults, `only ${injected} faults were injected, less than ${faults}`);
  assert.ok(counts.acked >= acked, `only ${counts.acked} appends were acknowledged, less than ${acked}`);
  assert.ok(records >= counts.acked);
  assert.ok(named.acked >= acked / 20, `only ${named.acked} appends to named logs were acknowledged`);
  assert.ok(named.deleted > 0, "no named log was deleted");
  assert.ok(named.forks > 0, "no named log was forked");
  assert.ok(report.cursors.committed > 0, "no cursor was committed");
}
