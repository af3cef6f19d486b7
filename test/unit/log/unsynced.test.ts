/**
 * With --sync interval and never, a power cut may take back what was only written. The catalog must not know of it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SyncMode } from "../../../src/log/mod.ts";
import { allValues, run, simMachine } from "../../support/log/logs.ts";

const settings = { segmentStoreBytesMax: 1500 };
const modes: readonly SyncMode[] = [{ intervalMs: 50 }, "never"];

for (const sync of modes) {
  const name = typeof sync === "string" ? sync : "interval";
  test(`--sync ${name}: after a power failure at any time the log opens with a prefix of what was written`, async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const machine = simMachine(`unsynced ${name} ${seed}`, { odds: { keep: 0, tear: 0 } });
      const log = await machine.open(settings, { sync });
      const written: string[] = [];
      const appends = machine.chance.between(1, 60);
      for (let n = 0; n < appends; n++) {
        const values = Array.from({ length: machine.chance.between(1, 4) }, (_, k) =>
          `${n}.${k}`.padStart(90),
        );
        // One group of several batches, for each is another producer's: some cross a roll.
        await Promise.all(
          values.map((one, k) =>
            log.append(run(one), { producer: { subject: "s", id: BigInt(k), epoch: n, sequence: 0 } }),
          ),
        );
        written.push(...values);
        if (machine.chance.chance(0.1)) machine.clock.advance(60);
      }
      const synced = machine.store.get("log/commit") as number | undefined;
      assert.ok((synced ?? 0) <= log.storedLog.syncedIndex, `seed ${seed}`);
      machine.disk.crash();
      const again = await machine.open(settings, { sync });
      const found = await allValues(again);
      assert.deepEqual(found, written.slice(0, found.length), `seed ${seed}`);
      await again.close();
    }
  });
}
