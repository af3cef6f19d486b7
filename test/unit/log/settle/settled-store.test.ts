/** The files that settling and merging write beside a segment. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { heapMapper } from "../../../../src/lib/disk/mapped-file.ts";
import { SegmentFiles, settledName } from "../../../../src/log/segment/segment-files.ts";
import { writeSettled } from "../../../../src/log/settle/settled-store.ts";
import { settled } from "../../../support/log/merging-log.ts";
import { openSettling } from "../../../support/log/settling-log.ts";

test("segments of which one does not follow the other are not merged", async () => {
  const machine = await settled(12, 24);
  const { storedLog } = await openSettling(machine, { settleBytesPerSecond: 0 });
  const [first, second, third] = storedLog.sealed;
  const { directoryId } = storedLog;
  const files = new SegmentFiles("/data/log", machine.disk, heapMapper(machine.disk), 8);
  const parts = { files, directoryId, below: new Map(), settledAt: 0, goesOn: () => Promise.resolve(true) };
  const copy = await writeSettled([first!, second!], parts);
  assert.equal(copy?.meta.seal?.lastCrc, second!.seal.lastCrc);
  await assert.rejects(writeSettled([first!, third!], parts), { kind: "corrupt" });
  assert.equal(storedLog.damage?.facts.why, "chain");
});

test("a segment that is removed while the one before it is copied is no damage", async () => {
  const machine = await settled(13, 24);
  const { storedLog } = await openSettling(machine, { settleBytesPerSecond: 0 });
  const [first, second] = storedLog.sealed;
  const { directoryId } = storedLog;
  const files = new SegmentFiles("/data/log", machine.disk, heapMapper(machine.disk), 8);
  const parts = { files, directoryId, below: new Map(), settledAt: 0, goesOn: () => Promise.resolve(false) };
  machine.disk.remove(second!.path);
  assert.equal(await writeSettled([first!, second!], parts), undefined);
  assert.equal(storedLog.damage, undefined);
});

test("the log index of a copy is created between other work, and not if the copy is not needed any more", async () => {
  const machine = await settled(12, 24);
  const { storedLog } = await openSettling(machine, { settleBytesPerSecond: 0 });
  const [first, second] = storedLog.sealed;
  const { directoryId } = storedLog;
  const files = new SegmentFiles("/data/log", machine.disk, heapMapper(machine.disk), 8);
  const parts = { files, directoryId, below: new Map(), settledAt: 0 };
  let turns = 0;
  const goesOn = (bytes: number): Promise<boolean> => {
    if (bytes === 0) turns++;
    return Promise.resolve(bytes > 0);
  };
  assert.equal(await writeSettled([first!, second!], { ...parts, goesOn }), undefined);
  assert.equal(turns, 1);
  const isThere = (path: string): boolean => machine.disk.exists(settledName(path));
  assert.ok(isThere(files.indexPath(first!.first)));
  assert.ok(!isThere(files.logsPath(first!.first)));
});
