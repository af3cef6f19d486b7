/** A node whose start has to write, on a file system without a free byte. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { SmallDisk } from "../../../support/disk/small-disk.ts";
import { run, valueAt } from "../../../support/log/logs.ts";
import { openOneNode } from "../../../support/log/one-node-log.ts";
import { scratch } from "../../../support/scratch.ts";

const settings = { segmentStoreBytesMax: 64 * 1024 };
const reserveBytes = 2 * 1024 * 1024;
const value = "x".repeat(20_000);

/** A directory with several segments and a database of named logs, whose last index is lost and whose last group is torn. */
async function makeLog(home: string): Promise<void> {
  const log = await openOneNode(home, settings, { reserveBytes });
  await log.change({ kind: "create", name: "one", settings: {} });
  for (let k = 0; k < 8; k++) await log.append(run(`${k} ${value}`), { log: { name: "one" } });
  await log.storedLog.rows.settled();
  await log[Symbol.asyncDispose]();
  const files = readdirSync(join(home, "log"));
  const last = join(home, "log", files.filter((name) => name.endsWith(".store")).at(-1)!);
  writeFileSync(last, Buffer.concat([readFileSync(last), Buffer.alloc(30_000, 7)]));
  rmSync(last.replace(".store", ".index"));
  for (const name of readdirSync(join(home, "meta")))
    if (/^logs-\d+\.db-/.test(name)) rmSync(join(home, "meta", name));
}

function smallDisk(t: TestContext, home: string): SmallDisk | undefined {
  const disk = SmallDisk.mount(home, 24 * 1024 * 1024);
  if (disk !== undefined) return disk;
  console.error("SKIPPED: mounting a small file system is not allowed here, so nothing was tested");
  t.skip("needs root, to mount a small file system");
  return undefined;
}

test("on a full disk a start that has to write uses the reserve, and serves what is there", async (t) => {
  using disk = smallDisk(t, join(scratch(t), "small"));
  if (disk === undefined) return;
  const home = join(disk.path, "data");
  await makeLog(home);
  disk.fill();
  assert.equal(disk.freeBytes, 0);
  const log = await openOneNode(home, settings, { reserveBytes, waitsToLead: false });
  assert.ok(log.storedLog.recovery.cut !== undefined, "the torn group was set aside");
  assert.equal(log.replica.diskRefusal?.kind, "disk-full");
  assert.equal(log.storedLog.state.logs.named("one")?.next, 8);
  await log[Symbol.asyncDispose]();
  // The disk has space again: the reserve is filled, and records are accepted.
  disk.empty();
  const again = await openOneNode(home, settings, { reserveBytes });
  assert.equal(statSync(join(home, "reserve")).size, reserveBytes);
  await again.append(run("after"));
  assert.equal(await valueAt(again, 0), "after");
  await again[Symbol.asyncDispose]();
});

test("without a reserve the start is refused: the fault says how much is free and what to do", async (t) => {
  using disk = smallDisk(t, join(scratch(t), "small"));
  if (disk === undefined) return;
  const home = join(disk.path, "data");
  await makeLog(home);
  rmSync(join(home, "reserve"));
  disk.fill();
  const open = (): Promise<unknown> => openOneNode(home, settings, { reserveBytes, waitsToLead: false });
  await assert.rejects(open(), (fault) => {
    assert.ok(fault instanceof Fault);
    assert.equal(fault.kind, "disk-full");
    assert.match(fault.message, /0 MiB of 24 MiB are free.*Nothing is lost\. Free 16 MiB/);
    assert.equal(fault.facts["freeBytes"], 0);
    return true;
  });
  disk.empty();
  const log = await openOneNode(home, settings, { reserveBytes });
  assert.equal(log.storedLog.state.logs.named("one")?.next, 8);
  await log[Symbol.asyncDispose]();
});
