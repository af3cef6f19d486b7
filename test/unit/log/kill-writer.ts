/**
 * A process that a test kills: opens the log in a directory and appends with several producers. It prints each
 * acknowledgment on stdout at once. `argv`: the directory, then the sequence at which each producer continues. Its records
 * may have been written, but not acknowledged, before the last kill.
 */
import { writeSync } from "node:fs";
import { run } from "../../support/log/logs.ts";
import { openOneNode } from "../../support/log/one-node-log.ts";

const [directory, ...next] = process.argv.slice(2) as [string, ...string[]];
const log = await openOneNode(directory, { segmentStoreBytesMax: 16_384 }, { reserveBytes: 65_536 });
writeSync(1, "ready\n");
await Promise.all(
  next.map(async (first, id) => {
    for (let sequence = Number(first); ; ) {
      const count = 1 + (sequence % 3);
      const values = Array.from({ length: count }, (_, n) =>
        `${id}-${sequence + n}`.padEnd(20 + (sequence % 200), "."),
      );
      const producer = { subject: "killed", id: BigInt(id), epoch: 0, sequence };
      const { firstOffset } = await log.append(run(...values), { producer });
      sequence += count;
      writeSync(1, `${id} ${sequence} ${firstOffset}\n`);
    }
  }),
);
