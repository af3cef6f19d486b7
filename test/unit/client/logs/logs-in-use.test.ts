import assert from "node:assert/strict";
import { test } from "node:test";
import { LogsInUse, type UsableLog } from "../../../../src/client/logs/logs-in-use.ts";

test("logs in use are kept, and idle ones are forgotten once there are many", () => {
  const logs = new LogsInUse<UsableLog>();
  const busy = Array.from({ length: 100 }, () => ({ isIdle: false }));
  for (const log of busy) logs.add(log);
  for (let n = 0; n < 10_000; n++) {
    logs.add({ isIdle: true });
    logs.add(busy[n % 100]!);
  }
  assert.ok(logs.size < 300, `${logs.size}`);
  const kept = new Set(logs);
  assert.ok(busy.every((log) => kept.has(log)));
});

test("the logs can be closed while they are walked through", () => {
  const logs = new LogsInUse<UsableLog>();
  for (let n = 0; n < 3; n++) logs.add({ isIdle: true });
  let seen = 0;
  for (const _ of logs) {
    seen++;
    logs.add({ isIdle: true });
  }
  assert.equal(seen, 3);
});
