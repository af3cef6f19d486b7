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
