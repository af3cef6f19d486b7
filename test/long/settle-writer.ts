/**
 * A process that a test kills: it appends to a log that keeps everything, and to one that it trims, and settles meanwhile. It prints
 * each acknowledgment on stdout at once: `keep OFFSET`, `gone OFFSET`, `trim LOWEST`. `argv`: the directory.
 */
import { writeSync } from "node:fs";
import { run } from "../support/log/logs.ts";
import { openOneNode } from "../support/log/one-node-log.ts";

const log = await openOneNode(
  process.argv[2]!,
  { segmentStoreBytesMax: 16_384 },
  {
    reserveBytes: 65_536,
    settleBytesPerSecond: 20_000_000,
    settlePace: { mergedShare: 4, firstPassMs: 0, restMs: 0, nextPassMs: 2 },
  },
);
const named = log.replica.log.named;
for (const name of ["keep", "gone"])
  await named.change({ kind: "create", name, settings: {} }).catch(() => undefined);
writeSync(1, "ready\n");

/** Of one append. */
const records = 4;

async function append(name: string): Promise<number> {
  const opened = named.open({ name });
  for (let n = (await opened.bounds()).next; ; n += records) {
    const values = Array.from({ length: records }, (_, k) => `${name}-${n + k}`.padEnd(400, "."));
    const { firstOffset } = await log.append(run(...values), { log: { name } });
    writeSync(1, `${name} ${firstOffset + records - 1}\n`);
  }
}

async function trim(): Promise<void> {
  const opened = named.open({ name: "gone" });
  for (;;) {
    const { next } = await opened.bounds();
    const lowest = await log.trim(next, { log: { name: "gone" } });
    writeSync(1, `trim ${lowest}\n`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

await Promise.all([append("keep"), append("gone"), trim()]);
