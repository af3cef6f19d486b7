import assert from "node:assert/strict";
import { test } from "node:test";
import { advertisedHost } from "../../../../src/agent/gossip/advertised-host.ts";
import { Fault } from "../../../../src/fault.ts";
import { noLogger } from "../../../../src/lib/telemetry.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

test("an unknown name is resolved again until it is known, and a log line says so at intervals", async () => {
  const time = new VirtualTime();
  const clock = time.clock();
  let asked = 0;
  let lines = 0;
  const host = advertisedHost("node-1.example", {
    clock,
    log: { ...noLogger, warn: () => lines++ },
    resolve: (name) => {
      asked++;
      return asked < 30 ? Promise.reject(new Fault("unavailable")) : Promise.resolve(`${name} is 10.0.0.1`);
    },
  });
  for (let round = 0; round < 200; round++) {
    await new Promise(setImmediate);
    time.step();
  }
  assert.equal(await host, "node-1.example is 10.0.0.1");
  assert.equal(asked, 30);
  assert.ok(lines >= 2 && lines < 15, `${lines} lines`);
});

test("an error other than an unknown name is thrown at once", async () => {
  const resolve = (): Promise<string> => Promise.reject(new Fault("bad-request"));
  const options = { clock: new VirtualTime().clock(), log: noLogger, resolve };
  await assert.rejects(advertisedHost("x", options), { kind: "bad-request" });
});
