/**
 * Kills a writing process with SIGKILL repeatedly, on one directory of a real disk. Checks each time that every
 * acknowledged record is at its offset, and that each producer's records are there once, in order and without a gap.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { type Prng, prng } from "../../../src/lib/prng.ts";
import { verifyLog } from "../../../src/log/mod.ts";
import { allValues } from "../../support/log/logs.ts";
import { openOneNode } from "../../support/log/one-node-log.ts";
import { scratchDirectory } from "../../support/scratch.ts";

const writer = fileURLToPath(new URL("./kill-writer.ts", import.meta.url));
const producers = 6;

export interface Killed {
  readonly kills: number;
  readonly acknowledged: number;
  readonly records: number;
  /** How often a torn group was cut. */
  readonly torn: number;
  /** How often frames were written again. */
  readonly rewritten: number;
}

/** All records are read after every kill, so one directory for all kills would take minutes. */
const killsPerDirectory = 30;

export async function killRepeatedly(kills: number, seed: number): Promise<Killed> {
  const chance = prng(seed);
  const sum = { kills: 0, acknowledged: 0, records: 0, torn: 0, rewritten: 0 };
  while (sum.kills < kills) {
    const one = await killOneDirectory(Math.min(killsPerDirectory, kills - sum.kills), chance);
    for (const name of Object.keys(sum) as (keyof Killed)[]) sum[name] += one[name];
  }
  return sum;
}

async function killOneDirectory(kills: number, chance: Prng): Promise<Killed> {
  using scratch = scratchDirectory();
  const next = Array.from({ length: producers }, () => 0);
  const acknowledged = new Map<number, string>();
  let [torn, rewritten, records] = [0, 0, 0];
  for (let kill = 0; kill < kills; kill++) {
    const lines = await writeUntilKilled(scratch.path, next, chance.between(0, 150));
    for (const line of lines) {
      const [id, sequence, offset] = line.split(" ").map(Number) as [number, number, number];
      for (let n = next[id]!; n < sequence; n++) acknowledged.set(offset + n - next[id]!, `${id}-${n}`);
      next[id] = sequence;
    }
    await using opened = await openOneNode(
      scratch.path,
      { segmentStoreBytesMax: 16_384 },
      { reserveBytes: 65_536 },
    );
    const { recovery } = opened.storedLog;
    if (recovery.cut !== undefined) torn++;
    if (recovery.rewrittenBytes > 0) rewritten++;
    const found = (await allValues(opened)).map((value) => value.replace(/\.*$/, ""));
    records = found.length;
    for (const [offset, value] of acknowledged)
      assert.equal(found[offset], value, `offset ${offset}, kill ${kill}`);
    checkProducers(found, next);
    const { findings } = verifyLog({ directory: scratch.path, disk: systemDisk, store: opened.store });
    assert.deepEqual(findings, []);
  }
  return { kills, acknowledged: acknowledged.size, records, torn, rewritten };
}

/** Each producer's records are there once and in order, and at most one append that was not acknowledged. */
function checkProducers(found: readonly string[], next: readonly number[]): void {
  const seen = Array.from({ length: producers }, () => 0);
  for (const value of found) {
    const [id, sequence] = value.split("-").map(Number) as [number, number];
    assert.equal(sequence, seen[id], `producer ${id}: a record twice, missing or out of order`);
    seen[id]!++;
  }
  for (const [id, count] of seen.entries()) {
    assert.ok(
      count === next[id]! || count === next[id]! + 1 + (next[id]! % 3),
      `producer ${id} has ${count} records, ${next[id]} were acknowledged`,
    );
  }
}

/** Runs a writer and kills it `afterMs` after it began to write. Returns the lines that it printed. */
function writeUntilKilled(directory: string, next: readonly number[], afterMs: number): Promise<string[]> {
  const child = spawn(process.execPath, [writer, directory, ...next.map(String)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    let printed = "";
    let ready = false;
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      printed += chunk;
      if (ready || !printed.includes("ready\n")) return;
      ready = true;
      setTimeout(() => child.kill("SIGKILL"), afterMs);
    });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (signal !== "SIGKILL") reject(new Error(`the writer ended by itself with ${code}`));
      // The kill may cut off the last line.
      else resolve(printed.slice(0, printed.lastIndexOf("\n")).split("\n").slice(1));
    });
  });
}
