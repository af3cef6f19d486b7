/**
 * The replicated log of one node beside the log of one node: what Raft costs where there is nobody to replicate to.
 * Rounds take turns on the same disk.
 *
 * Never: asserts anything.
 */
import { join } from "node:path";
import type { CommitLog } from "../../src/vocabulary.ts";
import { run as makeRun, openReal, scratchDirectory } from "../support/logs.ts";
import { openAlone } from "../support/replicas.ts";
import { median, report } from "./report.ts";

const rounds = 7;
const roundMs = 300;

export async function run(): Promise<void> {
  using scratch = scratchDirectory();
  await using local = await openReal(join(scratch.path, "local"));
  await using alone = await openAlone(join(scratch.path, "alone"));
  for (const [records, inFlight] of [
    [1, 1],
    [64, 1],
    [1, 64],
    [64, 64],
  ] as const) {
    const batch = makeRun(...Array.from({ length: records }, () => "x".repeat(100)));
    const [before, after]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      before.push(await appends(local.log, batch, inFlight));
      after.push(await appends(alone.replica.log, batch, inFlight));
    }
    report({
      name: `replicated alone: append ×${records} of 100 B, ${inFlight} in flight, synced`,
      value: median(after) * records,
      unit: "records/s",
      ratio: { to: "the log of one node", value: median(after) / median(before) },
    });
  }
}

async function appends(log: CommitLog, batch: ReturnType<typeof makeRun>, inFlight: number): Promise<number> {
  const started = performance.now();
  let count = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() - started < roundMs) {
      await log.append(batch);
      count++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return count / ((performance.now() - started) / 1000);
}
