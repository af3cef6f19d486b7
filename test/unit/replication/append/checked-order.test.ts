import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { CheckedOrder } from "../../../../src/replication/append/checked-order.ts";
import { allValues, run, simMachine } from "../../../support/log/logs.ts";

const checked = (): Promise<void> => Promise.resolve();

test("an append waits for the check of the one before it in its stream, and for no other stream", async () => {
  const checks = new CheckedOrder();
  const [order, other] = [{ ended: false }, { ended: false }];
  const sent: string[] = [];
  const send = (name: string) => async (): Promise<void> => void sent.push(name);
  const { promise: slow, resolve } = Promise.withResolvers<void>();
  const appends = [
    checks.append(order, () => slow, send("first")),
    checks.append(order, checked, send("second")),
    checks.append(other, checked, send("other")),
    checks.append(undefined, checked, send("single")),
  ];
  await Promise.all(appends.slice(2));
  assert.deepEqual(sent.sort(), ["other", "single"]);
  assert.equal(checks.isWaiting(order), true);
  resolve();
  await Promise.all(appends);
  assert.deepEqual(sent.slice(2), ["first", "second"]);
  assert.equal(checks.isWaiting(order), false);
});

test("appends to default behind one whose life is refused are not written, in the same stream only", async () => {
  await using log = await simMachine("checked").open();
  await log.change({ kind: "create", name: "a", settings: {} });
  const order = { ended: false };
  const ofDefault = { name: "default", id: 0 };
  const life = log.replica.log.named.life;
  const outcomes = await Promise.allSettled([
    log.append(run("first"), { order, log: { ...ofDefault, life: life + 1 } }),
    log.append(run("second"), { order, log: { ...ofDefault, life } }),
    log.append(run("third"), { order }),
    log.append(run("other"), { order: { ended: false } }),
  ]);
  const told = outcomes.map((one) =>
    one.status === "fulfilled" ? "written" : one.reason instanceof Fault ? one.reason.kind : "",
  );
  assert.deepEqual(told, ["failed-precondition", "unavailable", "unavailable", "written"]);
  assert.deepEqual(await allValues(log), ["other"]);
});
