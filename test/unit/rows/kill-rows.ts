/**
 * Kills a process that writes rows, repeatedly, in one directory. Checks each time that every write that it reported is there,
 * and that the last one is there whole or not at all.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { prng } from "../../../src/lib/prng.ts";
import { openBase } from "../../../src/rows/base-reader.ts";
import { openRowStore, type StoredRow } from "../../../src/rows/mod.ts";
import { identityOf } from "./row-store-suite.ts";
import { changesAt, countAt } from "./write-until-killed.ts";

const writer = fileURLToPath(new URL("./write-until-killed.ts", import.meta.url));

/** Returns the last index that the process reported. It is killed `afterWrites` reports and a moment after its start. */
async function writeUntilKilled(directory: string, afterWrites: number, momentMs: number): Promise<number> {
  const child = spawn(process.execPath, [writer, directory], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  let isKilled = false;
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    if (isKilled || text.split("\n").length <= afterWrites) return;
    isKilled = true;
    setTimeout(() => child.kill("SIGKILL"), momentMs);
  });
  const [, signal] = (await once(child, "close")) as [number | null, string | null];
  assert.equal(signal, "SIGKILL");
  return Number(text.slice(0, text.lastIndexOf("\n")).split("\n").at(-1) ?? 0);
}

/** Returns how many writes there were. */
export async function killRepeatedly(directory: string, kills: number): Promise<number> {
  const random = prng("kill");
  const expected = new Map<number, StoredRow>();
  let applied = 0;
  for (let kill = 0; kill < kills; kill++) {
    const reported = await writeUntilKilled(directory, random.between(0, 25), random.float() * 40);
    const store = openRowStore(directory);
    const rows = store.open(identityOf(1), reported);
    for (; applied < rows.head.index; applied++) {
      for (const { id, row } of changesAt(applied + 1)) {
        if (row === undefined) expected.delete(id);
        else expected.set(id, row);
      }
    }
    assert.equal(rows.head.count, countAt(applied));
    assert.equal(expected.size, countAt(applied));
    for (let id = 1; id <= applied + 2; id++) assert.deepEqual(rows.row(id), expected.get(id));
    for (const row of expected.values()) assert.deepEqual(rows.named(row.name), row);
    assert.ok(applied - reported <= 1, "at most one write was not reported");
    await rows.close();
    if (store.generations().includes(2)) await store.open(identityOf(2), 1).close();
    if (systemDisk.exists(`${directory}/base`)) openBase(systemDisk, `${directory}/base`).close();
    await store.close();
  }
  return applied;
}
