import assert from "node:assert/strict";
import { test } from "node:test";
import { run, simMachine } from "../../support/log/logs.ts";

test("a view that was dropped while a reader held it is notified, and is the view of its log again", async () => {
  const { replica } = await simMachine("views").open();
  const { log, storedLog } = replica;
  const { log: info } = await log.named.change({ kind: "create", name: "a", settings: {} });
  const { id } = info!;
  const held = storedLog.view(id);
  const others = Array.from({ length: 1_200 }, (_, at) => storedLog.view(1_000 + at));
  let woken = 0;
  held.changed.wait(() => woken++);
  await log.append(run("x"), { log: { name: "a" } });
  assert.equal(woken, 1);
  assert.equal(storedLog.view(id), held);
  held.changed.wait(() => woken++);
  others.push(storedLog.view(5_000));
  await log.append(run("y"), { log: { name: "a" } });
  assert.equal(woken, 2);
  held.changed.wait(() => woken++);
  storedLog.close();
  assert.equal(woken, 3);
  assert.equal(others.length, 1_201);
});
