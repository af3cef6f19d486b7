/**
 * Kills a writing process with SIGKILL, again and again on the same directory of a real disk, and looks each time:
 * every record that was answered is at its offset, each producer's records are there once, in order, without a gap.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { systemDisk } from "../../src/lib/disk/system-disk.ts";
import { type Prng, prng } from "../../src/lib/prng.ts";
import { verifyLog } from "../../src/log/mod.ts";
import { allValues, scratchDirectory } from "./logs.ts";
import { openOneNode } from "./one-node-log.ts";

const writer = fileURLToPath(new URL("./kill-writer.ts", import.meta.url));
const producers = 6;

export interface Killed {
  readonly kills: number;
  readonly acknowledged: number;
  readonly records: number;
  /** How often a torn group was cut, and how often the end was written again. */
  readonly torn: number;
  readonly rewritten: number;
}

/** Every record is looked at after every kill: a directory that grew for all of them would be read for minutes. */
const killsADirectory = 30;

export async function killAgainAndAgain(kills: number, seed: number): Promise<Killed> {
  const chance = prng(seed);
  const sum = { kills: 0, acknowledged: 0, records: 0, torn: 0, rewritten: 0 };
  while (sum.kills < kills) {
    const one = await killOneDirectory(Math.min(killsADirectory, kills - sum.kills), chance);
    for (const name of Object.keys(sum) as (keyof Killed)[]) sum[name] += one[name];
  }
  return sum;
}

async function killOneDirectory(kills: number, chance: Prng): Promise<Killed> {
  using scratch = scratchDirectory();
  const next = Array.from({ length: producers }, () => 0);
  const answered = new Map<number, string>();
  let [torn, rewritten, records] = [0, 0, 0];
  for (let kill = 0; kill < kills; kill++) {
    const lines = await writeUntilKilled(scratch.path, next, chance.between(0, 150));
    for (const line of lines) {
      const [id, sequence, offset] = line.split(" ").map(Number) as [number, number, number];
      for (let n = next[id]!; n < sequence; n++) answered.set(offset + n - next[id]!, `${id}-${n}`);
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
    for (const [offset, value] of answered)
      assert.equal(found[offset], value, `offset ${offset}, kill ${kill}`);
    checkProducers(found, next);
    const { findings } = verifyLog({ directory: scratch.path, disk: systemDisk, store: opened.store });
    assert.deepEqual(findings, []);
  }
  return { kills, acknowledged: answered.size, records, torn, rewritten };
}

/** Each producer's records stand in order, once each; at most one unanswered append is there besides. */
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
      `producer ${id} has ${count}, was told ${next[id]}`,
    );
  }
}

/** Runs a writer, kills it so long after it began, and answers what it told. */
function writeUntilKilled(directory: string, next: readonly number[], afterMs: number): Promise<string[]> {
  const child = spawn(process.execPath, [writer, directory, ...next.map(String)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    let told = "";
    let ready = false;
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      told += chunk;
      if (ready || !told.includes("ready\n")) return;
      ready = true;
      setTimeout(() => child.kill("SIGKILL"), afterMs);
    });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (signal !== "SIGKILL") reject(new Error(`the writer ended by itself with ${code}`));
      // A line that the kill cut off was not told.
      else resolve(told.slice(0, told.lastIndexOf("\n")).split("\n").slice(1));
    });
  });
}
