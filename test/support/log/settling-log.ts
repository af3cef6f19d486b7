/** A log of one node that settles, on a simulated machine whose clock the test moves. */
import type { Offset } from "../../../src/types.ts";
import { allValues, run, type SimMachine, stillTurns } from "./logs.ts";
import type { OneNodeLog, OneNodeOptions } from "./one-node-log.ts";

export const openSettling = (
  machine: SimMachine,
  options: OneNodeOptions = {},
  segmentStoreBytesMax = 6_000,
): Promise<OneNodeLog> =>
  machine.open({ segmentStoreBytesMax }, { frameCacheBytesMax: 0, settleBytesPerSecond: 1e9, ...options });

/** Lets time pass, so that the log looks at all its segments. Ends early if the log fails. */
export async function passTime(machine: SimMachine, log: OneNodeLog, ms = 40_000): Promise<void> {
  for (let left = ms; left > 0 && log.failure === undefined; left -= 50) {
    machine.clock.advance(50);
    await stillTurns();
  }
}

/** Long values: settling them is worth it. */
export const longValue = (log: string, n: number): string => `${log} ${n} `.padEnd(500, ".");

/** Creates the logs, and appends to all of them in turn. `undefined` is `default`. */
export async function fill(
  log: OneNodeLog,
  names: readonly (string | undefined)[],
  rounds: number,
): Promise<void> {
  for (const name of names) if (name !== undefined) await log.change({ kind: "create", name, settings: {} });
  for (let n = 0; n < rounds; n++)
    for (const name of names)
      await log.append(run(longValue(name ?? "default", n)), name === undefined ? {} : { log: { name } });
}

/** What can be read of a log. */
export async function readable(
  log: OneNodeLog,
  name: string | undefined,
): Promise<readonly [Offset, string[]]> {
  const opened = name === undefined ? log : log.replica.log.named.open({ name });
  const { lowest } = await opened.bounds();
  return [lowest, await allValues(opened)];
}

/** Bytes of the sealed segments. */
export const sealedBytes = ({ storedLog }: OneNodeLog): number =>
  storedLog.sealed.reduce((sum, { bytes }) => sum + bytes, 0);
