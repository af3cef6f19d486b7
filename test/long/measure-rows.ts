/**
 * node measure-rows.ts DIRECTORY COUNT: opens the database of manyRows(COUNT) and measures reads, a write of 100,000 scattered
 * rows and the move of the write-ahead log. Prints the result as JSON.
 */
import { statSync } from "node:fs";
import { open } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { openRowStore } from "../../src/rows/mod.ts";
import { longestTurnMs } from "../support/time/longest-turn.ts";
import { manyName, scattered } from "../unit/rows/many-rows.ts";
import { headOf } from "../unit/rows/row-samples.ts";
import { identityOf } from "../unit/rows/row-store-suite.ts";

export interface RowFigures {
  readonly openMs: number;
  readonly rowMicros: number;
  readonly namedMicros: number;
  readonly absentMicros: number;
  readonly pageMs: number;
  readonly writeMs: number;
  readonly walMiB: number;
  readonly checkpointMs: number;
  /** CPU time of the main thread in the longest turn during the write and the move. */
  readonly longestTurnMs: number;
  /** fdatasync of 4 KiB in another file: the 99th percentile and the longest, without and with the write. */
  readonly syncQuietMs: readonly [p99: number, max: number];
  readonly syncBusyMs: readonly [p99: number, max: number];
  /** Growth of the resident memory after the reads, and at its highest during the write. */
  readonly readMiB: number;
  readonly writeMiB: number;
}

const MiB = 1024 * 1024;
const rss = (): number => process.memoryUsage.rss() / MiB;

/** Returns the microseconds of one call. */
function micros(calls: number, work: (at: number) => unknown): number {
  for (let at = 0; at < calls; at++) work(at);
  const before = performance.now();
  for (let at = 0; at < calls; at++) work(at);
  return ((performance.now() - before) * 1000) / calls;
}

/** Syncs 4 KiB every 2 ms until `work` ends. */
async function syncsDuring(
  path: string,
  work: () => Promise<unknown>,
): Promise<readonly [p99: number, max: number]> {
  const file = await open(path, "w");
  const waits: number[] = [];
  let isRunning = true;
  const loop = (async () => {
    for (let at = 0; isRunning; at++) {
      const before = performance.now();
      await file.write(new Uint8Array(4096), 0, 4096, at * 4096);
      await file.datasync();
      waits.push(performance.now() - before);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  await work();
  isRunning = false;
  await loop;
  await file.close();
  waits.sort((one, other) => one - other);
  return [waits[Math.floor(waits.length * 0.99)]!, waits.at(-1)!];
}

async function measure(directory: string, count: number): Promise<RowFigures> {
  const store = openRowStore(directory);
  const rssBefore = rss();
  let before = performance.now();
  const rows = store.open(identityOf(1), 1);
  const openMs = performance.now() - before;
  const idAt = (at: number): number => 1 + ((at * 104_729) % count);
  const rowMicros = micros(20_000, (at) => rows.row(idAt(at)));
  const namedMicros = micros(20_000, (at) => rows.named(manyName(idAt(at))));
  const absentMicros = micros(20_000, (at) => rows.named(`tenants/${at}/absent`));
  const pageMs = micros(200, (at) => rows.namesFrom("tenants/", `tenants/${at}`, 257)) / 1000;
  const readMiB = rss() - rssBefore;
  const quiet = () => new Promise((resolve) => setTimeout(resolve, 2000));
  const syncQuietMs = await syncsDuring(`${directory}/other`, quiet);
  let [writeMs, walMiB, checkpointMs, writeMiB, turnMs] = [0, 0, 0, 0, 0];
  const watch = setInterval(() => {
    writeMiB = Math.max(writeMiB, rss() - rssBefore);
  }, 50);
  const syncBusyMs = await syncsDuring(`${directory}/other`, async () => {
    turnMs = await longestTurnMs(async () => {
      before = performance.now();
      await rows.write(scattered(count, 100_000, 1), headOf(2, count));
      writeMs = performance.now() - before;
      walMiB = statSync(`${directory}/logs-1.db-wal`).size / MiB;
      before = performance.now();
      await rows.write([], headOf(3, count));
      checkpointMs = performance.now() - before;
    });
  });
  clearInterval(watch);
  await rows.close();
  await store.close();
  return {
    ...{ openMs, rowMicros, namedMicros, absentMicros, pageMs, writeMs, walMiB, checkpointMs },
    ...{ longestTurnMs: turnMs, syncQuietMs, syncBusyMs, readMiB, writeMiB },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await measure(process.argv[2]!, Number(process.argv[3]))));
}
