import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { compareLogs, type LogDirectory } from "../../../../src/log/mod.ts";
import { run, type SimMachine, simDirectory, simMachine } from "../../../support/log/logs.ts";

const directoryOf = ({ disk, store }: SimMachine): LogDirectory => ({ directory: simDirectory, disk, store });

/** A log with the records 0 … next−1, of which those before `lowest` are trimmed, in segments of this size. */
async function holding(lowest: number, next: number, segmentBytes = 700, odd = -1): Promise<SimMachine> {
  const machine = simMachine(`${lowest} ${next} ${segmentBytes}`);
  const log = await machine.open({ segmentStoreBytesMax: segmentBytes });
  for (let n = 0; n < next; n++) await log.append(run(n === odd ? "odd" : `value ${n}`));
  await log.trim(lowest);
  await log.close();
  return machine;
}

test("logs with the same records are equal, wherever their segments begin", async () => {
  const machines = [await holding(0, 40), await holding(7, 30, 400), await holding(3, 50, 1 << 20)];
  const { from, to, hashes, findings } = compareLogs(machines.map(directoryOf));
  assert.deepEqual([from, to, findings], [7, 30, []]);
  assert.equal(new Set(hashes).size, 1);
});

test("one record that differs is seen; outside the common range it is not", async () => {
  const sound = await holding(0, 40);
  const inside = compareLogs([sound, await holding(0, 40, 700, 39)].map(directoryOf));
  assert.equal(new Set(inside.hashes).size, 2);
  const outside = compareLogs([sound, await holding(10, 40, 700, 9)].map(directoryOf));
  assert.equal(new Set(outside.hashes).size, 1);
});

test("logs without a record in common are not called identical", async () => {
  for (const [other, said] of [
    [await holding(40, 60), "holds 40 to 59"],
    [await holding(0, 0), "is empty and continues at 0"],
    [await holding(60, 60), "is empty and continues at 60"],
  ] as const) {
    const places = [await holding(0, 40), other].map(directoryOf);
    assert.throws(
      () => compareLogs(places),
      (reason) => {
        assert.ok(reason instanceof Fault && reason.kind === "failed-precondition");
        assert.match(reason.message, /nothing was compared.*holds 0 to 39/);
        assert.ok(reason.message.endsWith(said), reason.message);
        return true;
      },
    );
  }
});

test("empty logs that continue at the same offset are equal", async () => {
  const { from, to, hashes } = compareLogs([await holding(5, 5), await holding(5, 5)].map(directoryOf));
  assert.deepEqual([from, to, new Set(hashes).size], [5, 5, 1]);
});

test("a damaged log is reported, not compared", async () => {
  const damaged = await holding(0, 40);
  const [file] = damaged.disk.list(`${simDirectory}/log`).filter((name) => name.endsWith(".store"));
  damaged.disk.flipBit(`${simDirectory}/log/${file}`, 900);
  const { hashes, findings } = compareLogs([await holding(0, 40), damaged].map(directoryOf));
  assert.deepEqual([hashes, findings.length > 0, findings[0]?.file], [[], true, file]);
});
