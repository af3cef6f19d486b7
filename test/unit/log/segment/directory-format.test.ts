import assert from "node:assert/strict";
import { test } from "node:test";
import { run, simMachine } from "../../../support/log/logs.ts";

test("a directory has format 1 until the first named log, and format 3 from then on, also if power fails at once", async () => {
  const machine = simMachine(1);
  const formatOf = (): unknown => (machine.store.get("log/directory") as { readonly format: number }).format;
  const log = await machine.open();
  await log.append(run("default"));
  assert.equal(formatOf(), 1);
  await log.change({ kind: "create", name: "a", settings: {} });
  assert.equal(formatOf(), 3);
  await log.change({ kind: "delete", log: { name: "a" } });
  await log.close();
  machine.disk.crash();
  const again = await machine.open();
  assert.equal(formatOf(), 3, "the level stays in the log");
  await again.close();
});

test("a directory has format 4 from the first batch of a stream on", async () => {
  const machine = simMachine(2);
  const formatOf = (): unknown => (machine.store.get("log/directory") as { readonly format: number }).format;
  const log = await machine.open();
  await log.change({ kind: "create", name: "a", settings: {} });
  await log.append(run("plain"), { log: { name: "a" } });
  assert.equal(formatOf(), 3);
  await log.append(run("x"), { log: { name: "a" }, stream: { order: "1" } });
  assert.equal(formatOf(), 4);
  await log.close();
  machine.disk.crash();
  const again = await machine.open();
  assert.equal(formatOf(), 4);
  await assert.rejects(again.append(run("x"), { log: { name: "a" }, stream: { order: "1" } }), {
    kind: "failed-precondition",
    facts: { reason: "STREAM_SEQ" },
  });
  assert.equal((await again.replica.log.named.open({ name: "a" }).info()).next, 2);
  await again.close();
});
