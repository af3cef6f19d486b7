import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../../src/fault.ts";
import { forksLevel, namedLogsLevel, settledLevel } from "../../../../../src/log/mod.ts";
import { simMachine } from "../../../../support/log/logs.ts";

/** Levels that are prepared at the same time, in this order; and the level of the cluster when each of them was ready. */
async function readyAt(...levels: number[]): Promise<number[]> {
  await using log = await simMachine("levels").open();
  const { level } = log.replica.log.named.admin;
  const found = (): number => log.storedLog.state.logs.level;
  return await Promise.all(levels.map((asked) => level.prepare(asked, undefined, "late").then(found)));
}

test("a wait for a level ends when the cluster has it, also if another level is raised before", async () => {
  const orders = [
    [namedLogsLevel, settledLevel, forksLevel],
    [namedLogsLevel, forksLevel, settledLevel],
    [settledLevel, forksLevel, namedLogsLevel],
    [namedLogsLevel, namedLogsLevel, settledLevel, settledLevel, forksLevel, forksLevel],
  ];
  for (const levels of orders) {
    const ready = await readyAt(...levels);
    for (const [at, asked] of levels.entries())
      assert.ok(ready[at]! >= asked, `level ${asked} of ${levels.join()} was ready at ${ready[at]}`);
  }
});

test("a wait for a level ends when the log is closed", { timeout: 20_000 }, async () => {
  for (const isClosedBefore of [false, true]) {
    const { replica } = await simMachine("closed").open();
    const { level } = replica.log.named.admin;
    const settled = (waited: Promise<void>): Promise<string> =>
      waited.then(
        () => "ready",
        (reason: unknown) => Fault.from(reason).kind,
      );
    const before = isClosedBefore ? undefined : settled(level.prepare(namedLogsLevel, undefined, "late"));
    const closed = replica.close();
    const after = settled(level.prepare(forksLevel, undefined, "late"));
    assert.equal(await after, "unavailable");
    if (before !== undefined) assert.equal(await before, "unavailable");
    await closed;
    assert.equal(await settled(level.prepare(forksLevel, undefined, "late")), "unavailable");
  }
});
