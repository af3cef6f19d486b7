import assert from "node:assert/strict";
import { test } from "node:test";
import { atOnce } from "../../../../src/lib/time/in-slices.ts";
import { emptyConfState, type Snapshot } from "../../../../src/raft/mod.ts";
import { packStart } from "../../../../src/replication/snapshot/packed-start.ts";
import { RowsTransfer } from "../../../../src/replication/storage/rows-transfer.ts";
import { compact, run, simMachine } from "../../../support/log/logs.ts";

/** A leader with a base file, and the snapshot that it sends. */
async function leaderWithBase(): Promise<{ leader: RowsTransfer; snapshot: Snapshot }> {
  const log = await simMachine("leader").open({ segmentStoreBytesMax: 900 });
  for (let n = 0; n < 20; n++) await log.change({ kind: "create", name: `log ${n}`, settings: {} });
  await log.append(run("default"));
  await log.trim(1);
  await log.append(run("last"));
  const { storedLog } = log;
  assert.ok((await compact(storedLog)) > 0);
  const { index, term } = storedLog.before;
  const { rows } = storedLog;
  const data = atOnce(packStart(rows.openStart(), rows.base));
  return {
    leader: new RowsTransfer(storedLog),
    snapshot: { index, term, configuration: emptyConfState, data },
  };
}

test("a fetched base is held exactly if Raft accepted its snapshot", async () => {
  const { leader, snapshot } = await leaderWithBase();
  const heldAfter = async (pass: () => Snapshot | undefined): Promise<boolean> => {
    const log = simMachine("follower").openStored();
    const transfer = new RowsTransfer(log);
    await transfer.fetch(snapshot, async (range) => leader.read(range), pass).catch(() => undefined);
    const isHeld = log.rows.download.heldIndex > 0;
    log.close();
    return isHeld;
  };
  assert.equal(await heldAfter(() => snapshot), true);
  assert.equal(await heldAfter(() => undefined), false);
  assert.equal(await heldAfter(() => ({ ...snapshot, index: snapshot.index + 1 })), false);
  assert.equal(
    await heldAfter(() => {
      throw new Error("a damaged message");
    }),
    false,
  );
});
