/** The metrics of settling and merging. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { noTracer } from "../../../../src/lib/telemetry.ts";
import { Instruments } from "../../../../src/telemetry/instruments.ts";
import { RefusingDisk } from "../../../support/disk/refusing-disk.ts";
import { simMachine } from "../../../support/log/logs.ts";
import { fill, openSettling, passTime } from "../../../support/log/settling-log.ts";

test("the metrics tell what was settled and merged, what is left, how long a pass took, and that one failed", async () => {
  const machine = simMachine("metrics of settling");
  const metrics = new Instruments();
  const pointOf = (name: string): unknown =>
    metrics.collect().find((one) => one.name === `tailrace.log.${name}`)?.points[0]?.value;
  const telemetry = { metrics, tracer: noTracer, clock: machine.clock };
  const disk = new RefusingDisk(machine.disk);
  const log = await openSettling(machine, { telemetry, disk, settlePace: { mergedShare: 3 } });
  await fill(log, ["keep", "gone"], 60);
  await log.trim(59, { log: { name: "gone" } });
  disk.refuse = (operation, path) =>
    operation === "open" && path.endsWith(".settled") ? "EMFILE" : undefined;
  await passTime(machine, log, 6_000);
  const names = ["settled.segments", "settled.files", "settled.size", "merged.segments"];
  assert.deepEqual(names.map(pointOf), [0, 0, 0, 0]);
  assert.equal(pointOf("settling.failures"), 1);
  assert.equal(pointOf("settling.duration"), 0, "no pass is over");
  disk.refuse = () => undefined;
  for (let step = 0; step < 150 && pointOf("settling.duration") === 0; step++)
    await passTime(machine, log, 200);
  assert.ok(Number(pointOf("settling.duration")) > 0.1, "it rests between segments");
  await passTime(machine, log, 60_000);
  const { settler, sealed } = log.storedLog;
  const settled = sealed.flatMap(({ meta }) => (meta.settled === undefined ? [] : [meta.settled]));
  assert.ok(settled.length > 0);
  assert.deepEqual(names.map(pointOf), [
    settler!.totals.segments,
    settled.length,
    settled.reduce((sum, { bytes }) => sum + bytes, 0),
    settler!.merged.from,
  ]);
  assert.ok(settler!.totals.segments > 3, `${settler!.totals.segments} were settled`);
  assert.ok(settler!.merged.from > 3, `${settler!.merged.from} were merged`);
  assert.ok(settled.length < settler!.totals.segments, "merged ones are fewer");
  assert.equal(pointOf("settling.failures"), 1);
});
