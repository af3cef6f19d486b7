/** When a client gives up whose connections have all failed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FirstContact } from "../../../../src/client/calls/first-contact.ts";
import { openClient } from "../../../../src/client/mod.ts";
import { Fault } from "../../../../src/fault.ts";
import { freePort } from "../../../support/process/free-port.ts";

const refused = new Fault("unavailable", {
  message: "refused",
  facts: { unreachable: true, code: "ECONNREFUSED" },
});

test("a client gives up after the timeout, once it has tried every address", () => {
  const contact = new FirstContact(5_000);
  assert.equal(contact.failed(refused, 2, 0, 10), refused);
  assert.equal(contact.failed(refused, 2, 4_000, 4_010), refused);
  const fault = contact.failed(refused, 2, 5_000, 5_010);
  assert.equal(fault.kind, "unreachable");
  assert.equal(fault.retry, false);
  assert.equal(fault.written, "no");
  assert.match(fault.message, /no node could be reached in 5 s: refused/);
  assert.equal(contact.failed(refused, 2, 9_000, 9_010).kind, "unreachable", "later calls fail at once");
  assert.equal(new FirstContact(0).failed(refused, 2, 0, 10), refused, "the other address was not tried");
});

test("a client does not give up once a node has responded, with a result or an error", () => {
  const answered = new FirstContact(0);
  answered.reached();
  assert.equal(answered.failed(refused, 1, 0, 10), refused);
  const rejected = new FirstContact(0);
  const overloaded = new Fault("overloaded");
  assert.equal(rejected.failed(overloaded, 1, 0, 10), overloaded);
  assert.equal(rejected.failed(refused, 1, 0, 10), refused);
});

test("a wrong address fails as unreachable and names the address and the cause", {
  timeout: 60_000,
}, async () => {
  const addr = `127.0.0.1:${await freePort()}`;
  await using client = openClient({ addr, limits: { firstContactMs: 200 } });
  const isUnreachable = (thrown: unknown): boolean =>
    thrown instanceof Fault &&
    thrown.kind === "unreachable" &&
    thrown.written === "no" &&
    thrown.message.includes(addr) &&
    thrown.message.includes("ECONNREFUSED");
  await assert.rejects(client.producer().send("x"), isUnreachable);
  await assert.rejects(client.commitLog.read(0), isUnreachable);
  await assert.rejects(client.consume({ from: "start" }).next(), isUnreachable);
  await assert.rejects(client.consume({ from: 0 }).next(), isUnreachable);
});

test("a deadline that passes while the cluster is unreachable names the last cause", {
  timeout: 60_000,
}, async () => {
  const addr = `127.0.0.1:${await freePort()}`;
  await using client = openClient({ addr, limits: { callMs: 400, firstContactMs: 60_000 } });
  const isLate = (thrown: unknown): boolean =>
    thrown instanceof Fault && thrown.message.includes("ECONNREFUSED") && thrown.message.includes(addr);
  await assert.rejects(client.producer().send("x"), isLate);
  await assert.rejects(client.commitLog.read(0), isLate);
});
