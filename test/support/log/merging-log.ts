/** Logs of one node with segments that are settled and can be merged. */
import assert from "node:assert/strict";
import { run, type SimMachine, simMachine } from "./logs.ts";
import type { OneNodeLog, OneNodeOptions } from "./one-node-log.ts";
import { longValue, openSettling, passTime } from "./settling-log.ts";

export const names = ["keep", "seldom", "bursts", "late", "gone"];
export const pace = { firstPassMs: 100, restMs: 0, nextPassMs: 5_000 };
export const unmerged = { ...pace, nextPassMs: 1_000, mergedShare: 0 };

/** Most of "gone" and of `default` is trimmed. "seldom" has few records, "bursts" has them in some segments only, and "late" begins in the middle. */
async function filled(log: OneNodeLog, machine: SimMachine, rounds: number): Promise<void> {
  for (const name of ["keep", "seldom", "bursts", "gone"])
    await log.change({ kind: "create", name, settings: {} });
  for (let n = 0; n < rounds; n++) {
    machine.clock.advance(7);
    if (n === rounds / 2) await log.change({ kind: "create", name: "late", settings: {} });
    await log.append(run(longValue("gone", n)), { log: { name: "gone" } });
    await log.append(run(longValue("default", n)));
    if (n % 4 === 0) await log.append(run(`keep ${n}`, `keep ${n} b`), { log: { name: "keep" } });
    if (n % 19 === 3) await log.append(run(`seldom ${n}`), { log: { name: "seldom" } });
    if (n % 20 < 4) await log.append(run(`bursts ${n}`), { log: { name: "bursts" } });
    if (n > rounds / 2 && n % 2 === 0) await log.append(run(`late ${n}`), { log: { name: "late" } });
  }
  await log.trim(rounds - 3, { log: { name: "gone" } });
  await log.trim(rounds - 3);
}

/** A machine with segments that are settled, and not merged. */
export async function settled(seed: number, rounds = 48, options: OneNodeOptions = {}): Promise<SimMachine> {
  const machine = simMachine(seed);
  const log = await openSettling(machine, { settlePace: unmerged, ...options });
  await filled(log, machine, rounds);
  await passTime(machine, log, 2_000);
  await log.append(run("the level is raised"));
  await passTime(machine, log, 2_500);
  const { sealed, settler } = log.storedLog;
  assert.ok(sealed.filter(({ meta }) => meta.settled !== undefined).length >= 3, "it is settled");
  assert.equal(settler!.merged.to, 0);
  await log.close();
  return machine;
}

/** The files that a segment of the catalog does not have. */
export function orphans({ disk }: SimMachine, { storedLog }: OneNodeLog): string[] {
  const firsts = new Set(storedLog.segments.map(({ first }) => first));
  return disk
    .list("/data/log")
    .filter(
      (name) =>
        name.endsWith(".settled") || (!name.endsWith(".rows") && !firsts.has(Number.parseInt(name, 10))),
    );
}
