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

test("appends behind a check that failed have its reason as their cause, also if their own check fails before", async () => {
  const checks = new CheckedOrder();
  const order = { ended: false };
  const reason = new Fault("failed-precondition", { message: "another life" });
  const { promise: slow, reject } = Promise.withResolvers<void>();
  const send = (): Promise<void> => Promise.reject(new Error("sent"));
  const appends = Promise.allSettled([
    checks.append(order, () => slow, send),
    checks.append(order, () => Promise.reject(new Fault("unavailable")), send),
    checks.append(order, checked, send),
  ]);
  await new Promise(setImmediate);
  reject(reason);
  const [first, ...behind] = (await appends).map((one) => (one as PromiseRejectedResult).reason as Fault);
  assert.equal(first, reason);
  assert.deepEqual(
    behind.map(({ kind, cause }) => [kind, cause]),
    [
      ["unavailable", reason],
      ["unavailable", reason],
    ],
  );
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
