/** Retention of `default` counts its own bytes: other logs must not delete its records. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { run, simMachine } from "../../../support/log/logs.ts";
import { until } from "../../../support/until.ts";

test("the bytes of named logs are not those of default, in every segment and after a restart", async () => {
  const machine = simMachine("default bytes");
  const settings = { segmentStoreBytesMax: 4_000 };
  const log = await machine.open(settings);
  const { named } = log.replica.log;
  await named.change({ kind: "create", name: "big", settings: {} });
  for (let n = 0; n < 20; n++) {
    await log.append(run("small"));
    await named.open({ name: "big" }).append(run("x".repeat(900)));
  }
  const sizes = (): number[] => {
    const { sealed, active } = log.storedLog.retained;
    return [...sealed, ...(active === undefined ? [] : [active])].map(({ defaultBytes }) => defaultBytes);
  };
  const before = sizes();
  assert.ok(before.length >= 4, `${before.length} segments`);
  for (const bytes of before) assert.ok(bytes > 0 && bytes < 1_500, `${bytes}`);
  await using again = await machine.open(settings);
  const { sealed } = again.storedLog.retained;
  assert.deepEqual(
    sealed.map(({ defaultBytes }) => defaultBytes),
    before.slice(0, sealed.length),
  );
});

test("records of default stay while its own bytes are below the retention", async () => {
  const machine = simMachine("default retention");
  await using log = await machine.open({ segmentStoreBytesMax: 4_000, retentionBytes: 8_000 });
  const { named } = log.replica.log;
  await named.change({ kind: "create", name: "big", settings: {} });
  for (let n = 0; n < 30; n++) {
    await log.append(run("small"));
    await named.open({ name: "big" }).append(run("x".repeat(900)));
    machine.clock.advance(1_100);
  }
  assert.equal((await log.bounds()).lowest, 0);
  await until("default is trimmed by its own bytes", async () => {
    await log.append(run("y".repeat(1_500)));
    machine.clock.advance(1_100);
    return (await log.bounds()).lowest > 0;
  });
  assert.deepEqual(await named.open({ name: "big" }).bounds(), { lowest: 0, next: 30 });
});
