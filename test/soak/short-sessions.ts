/**
 * Short sessions, as scripts and dashboards make them: each opens a client to one node, appends to a log of its own that expires,
 * reads old and new records of another log, and leaves in the middle of a tail. What a node keeps for clients that left would grow.
 */
import { setTimeout as delay } from "node:timers/promises";
import { faultOf, openClient } from "../../src/client/mod.ts";
import { prng } from "../../src/lib/prng.ts";
import type { Fleet } from "../chaos/fleet.ts";
import type { SoakLog } from "./plan.ts";

const everyMs = 2_000;
/** The logs of sessions expire after this time. */
const ttlMs = 60_000;
const records = 50;

export interface SessionCounts {
  opened: number;
  /** Sessions that failed, because their node was stopped, by kind of fault. */
  readonly failed: Record<string, number>;
}

/** Opens sessions until the signal is aborted. */
export async function openSessions(
  fleet: Fleet,
  logs: readonly SoakLog[],
  sessions: SessionCounts,
  signal: AbortSignal,
): Promise<void> {
  const chance = prng("sessions");
  for (let n = 0; !signal.aborted; n++) {
    const running = fleet.running;
    if (running.length > 0) {
      try {
        await openSession(chance.pick(running).addr, chance.pick(logs).name, n);
        sessions.opened++;
      } catch (reason) {
        const { kind } = faultOf(reason);
        sessions.failed[kind] = (sessions.failed[kind] ?? 0) + 1;
      }
    }
    await delay(everyMs, undefined, { signal }).catch(() => undefined);
  }
}

async function openSession(addr: string, log: string, n: number): Promise<void> {
  await using client = openClient({ addrs: [addr], discover: false, limits: { attemptsMax: 2 } });
  // A log of its own for every fifth session.
  if (n % 5 === 0) {
    const own = `short/${n}`;
    await client.logs.create(own, { ttlMs }, { ifNotExists: true });
    await client.log(own).producer().send(`session ${n}`);
  }
  let read = 0;
  for await (const _ of client.log(log).consume({ from: n % 2 === 0 ? "start" : { last: records } }))
    if (++read >= records) break;
}
