/** Kills a process with SIGKILL while it settles and merges segments, on a real disk. Nothing that was acknowledged and not trimmed is lost. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { systemDisk } from "../../src/lib/disk/system-disk.ts";
import { prng } from "../../src/lib/prng.ts";
import { type SegmentedLog, verifyLog } from "../../src/log/mod.ts";
import { allValues } from "../support/log/logs.ts";
import { openOneNode } from "../support/log/one-node-log.ts";
import { scratch } from "../support/scratch.ts";

const kills = Number(process.env["KILLS"] ?? 40);
const segmentStoreBytesMax = 16_384;
const writer = fileURLToPath(new URL("./settle-writer.ts", import.meta.url));

/** A writer that prints too little for so long is killed, and the test fails. */
const silentMsMax = 120_000;

/** When a writer is killed: after it printed so many lines, which says how far it is on any machine, and a while later. */
interface Kill {
  readonly lines: number;
  readonly afterMs: number;
}

/** Returns the complete lines that it printed until it was killed. */
function writeUntilKilled(directory: string, { lines, afterMs }: Kill): Promise<string[]> {
  const child = spawn(process.execPath, [writer, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    let printed = "";
    let isFar = false;
    const silence = setTimeout(() => child.kill("SIGTERM"), silentMsMax);
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      printed += chunk;
      // The first line says that it is ready.
      if (isFar || printed.split("\n").length <= lines + 1) return;
      isFar = true;
      clearTimeout(silence);
      setTimeout(() => child.kill("SIGKILL"), afterMs);
    });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(silence);
      if (signal !== "SIGKILL") reject(new Error(`the writer ended by itself with ${code ?? signal}`));
      else resolve(printed.slice(0, printed.lastIndexOf("\n")).split("\n").slice(1));
    });
  });
}

/** Files of segments that the log does not have. */
function filesWithoutSegment(directory: string, { segments }: SegmentedLog): string[] {
  const firsts = new Set(segments.map(({ first }) => first));
  const ofSegment = /^\d{20}\.(store|index|logs)/;
  return systemDisk
    .list(`${directory}/log`)
    .filter((name) => ofSegment.test(name) && !firsts.has(Number.parseInt(name, 10)));
}

test(`${kills} kills while segments are settled and merged lose no record that was not trimmed`, async (t) => {
  const directory = scratch(t);
  const chance = prng(20261130);
  let [kept, gone, trimmed, unfinished, settled, merged] = [0, 0, 0, 0, 0, 0];
  for (let kill = 0; kill < kills; kill++) {
    // The level is raised a second after the first commits.
    const afterMs = chance.between(0, 30) + (kill === 0 ? 3_000 : 0);
    for (const line of await writeUntilKilled(directory, { lines: chance.between(0, 80), afterMs })) {
      const [what, number] = line.split(" ") as [string, string];
      if (what === "keep") kept = Math.max(kept, Number(number) + 1);
      if (what === "gone") gone = Math.max(gone, Number(number) + 1);
      if (what === "trim") trimmed = Math.max(trimmed, Number(number));
    }
    const files = systemDisk.list(`${directory}/log`);
    if (files.some((name) => name.endsWith(".settled"))) unfinished++;
    await using opened = await openOneNode(directory, { segmentStoreBytesMax }, { reserveBytes: 65_536 });
    const { named } = opened.replica.log;
    const what = `kill ${kill}`;
    const keep = await allValues(named.open({ name: "keep" }));
    assert.ok(keep.length >= kept, `${what}: ${keep.length} of ${kept} records are left`);
    for (const [n, value] of keep.entries()) assert.equal(value, `keep-${n}`.padEnd(400, "."), what);
    const { lowest, next } = await named.open({ name: "gone" }).bounds();
    assert.ok(lowest >= trimmed && next >= gone, what);
    assert.equal((await allValues(named.open({ name: "gone" }))).length, next - lowest, what);
    settled = opened.storedLog.sealed.filter(({ meta }) => meta.settled !== undefined).length;
    // No other segment is as large.
    merged = opened.storedLog.sealed.filter(({ bytes }) => bytes > segmentStoreBytesMax).length;
    assert.deepEqual(filesWithoutSegment(directory, opened.storedLog), [], what);
    const { findings } = verifyLog({ directory, disk: systemDisk, store: opened.store });
    assert.deepEqual(findings, [], what);
  }
  t.diagnostic(JSON.stringify({ kept, gone, trimmed, unfinished, settled, merged }));
  assert.ok(settled > 3, `${settled} segments are settled`);
  assert.ok(merged > 3, `${merged} segments were merged`);
});
