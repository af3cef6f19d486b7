import assert from "node:assert/strict";
import { test } from "node:test";
import { AccessControl, namedIdentity } from "../../../../../src/access/mod.ts";
import { type Call, CallTracker } from "../../../../../src/api/calls/call-tracker.ts";
import { logPermissions } from "../../../../../src/api/calls/method-permissions.ts";
import { LogDirectory, pin } from "../../../../../src/api/methods/logs/log-directory.ts";
import { Fault } from "../../../../../src/fault.ts";
import { noTelemetry } from "../../../../../src/lib/telemetry.ts";
import { systemClock } from "../../../../../src/lib/time/clock.ts";
import type { LogCatalog, LogInfo, LogRef } from "../../../../../src/types.ts";
import { MemoryLog } from "../../../../support/log/memory-log.ts";

const policy = `p, ann, orders/*, produce
  p, ann, orders/*, consume
  p, eve, *, produce`;

/** A directory with the log "orders/eu", which has the id 3 in the life 7. */
async function openDirectory(life = 7) {
  const access = await AccessControl.open({ policy });
  const calls = new CallTracker({ access, telemetry: noTelemetry, clock: systemClock });
  const looked: LogRef[] = [];
  const log = new MemoryLog();
  const info = async (ref: LogRef): Promise<LogInfo> => {
    looked.push(ref);
    if (ref.name !== "orders/eu") throw new Fault("not-found");
    if (ref.id !== undefined && ref.id !== 3) throw new Fault("failed-precondition");
    return { life: 7, id: 3, name: ref.name, settings: {} } as LogInfo;
  };
  const named: LogCatalog = {
    life,
    open: (ref) => Object.assign(new MemoryLog(), { info: () => info(ref) }),
    list: () => ({ logs: [], next: undefined }),
    follow: () => assert.fail("nothing is followed"),
    checkLife: async (stated) => {
      if (stated !== 7) throw new Fault("failed-precondition");
    },
    seenIndex: () => 5,
    cursor: () => undefined,
    cursors: () => ({ cursors: [], count: 0, next: undefined }),
    change: () => assert.fail("nothing is changed"),
    touch: () => undefined,
  } as LogCatalog;
  const begin = (subject: string, permission = logPermissions.produce): Call =>
    calls.beginCall(
      permission,
      { identity: namedIdentity(subject), peer: "p", secure: true },
      { protocol: "grpc" },
    );
  return { access, begin, looked, log, directory: new LogDirectory({ log, named, calls }), calls };
}

const kind = (expected: string) => (thrown: unknown) => thrown instanceof Fault && thrown.kind === expected;

test("the log of a write is its reference, and default has none", async () => {
  const { begin, directory } = await openDirectory();
  assert.equal(directory.refFor(begin("eve"), { log: "" }), undefined);
  assert.equal(directory.refFor(begin("eve"), { log: "default", logId: "7-0" }), undefined);
  assert.deepEqual(directory.refFor(begin("ann"), { log: "orders/eu" }), { name: "orders/eu" });
  assert.deepEqual(directory.refFor(begin("ann"), { log: "orders/eu", logId: "7-3" }), {
    name: "orders/eu",
    id: 3,
    life: 7,
  });
});

test("the permission is checked for the log of each message, before anything is looked up", async () => {
  const { begin, directory, looked } = await openDirectory();
  const call = begin("ann");
  directory.refFor(call, { log: "orders/eu" });
  for (const log of ["", "default", "other"])
    assert.throws(() => directory.refFor(call, { log }), kind("permission-denied"), log);
  directory.refFor(call, { log: "orders/us" });
  assert.throws(() => begin("zoe"), kind("permission-denied"));
  const reading = begin("ann", logPermissions.consume);
  assert.throws(() => directory.openFor(reading, { log: "other" }, {}), kind("permission-denied"));
  assert.deepEqual(looked, []);
});

test("a call ends when the policy no longer allows the log of its last message", async () => {
  const { access, begin, directory } = await openDirectory();
  const [one, other] = [begin("ann"), begin("ann")];
  const revoked: Call[] = [];
  for (const call of [one, other]) call.onRevoked = () => revoked.push(call);
  directory.refFor(one, { log: "orders/eu" });
  directory.refFor(other, { log: "orders/us" });
  await access.setPolicy({ policy: "p, ann, orders/eu, produce" });
  assert.deepEqual(revoked, [other]);
});

test("an id is refused if it is none, or not that of default", async () => {
  const { begin, directory } = await openDirectory();
  const ask = (log: string, logId: string) => () => directory.refFor(begin("eve"), { log, logId });
  assert.throws(ask("a", "3"), kind("bad-request"));
  assert.throws(ask("", "7-3"), kind("failed-precondition"));
  assert.throws(ask("a*", "7-3"), kind("bad-request"));
});

test("a write that states another life than this node knows goes to the leader, also one to default", async () => {
  const { begin, directory } = await openDirectory();
  const refOf = (log: string, logId: string) => directory.refFor(begin("eve"), { log, logId });
  assert.deepEqual(refOf("a", "8-3"), { name: "a", id: 3, life: 8 });
  assert.deepEqual(refOf("default", "8-0"), { name: "default", id: 0, life: 8 });
});

test("a node that knows no log yet does not refuse an id: another node may know it", async () => {
  const { begin, directory, log } = await openDirectory(0);
  const request = { log: "orders/eu", logId: "7-3" };
  assert.deepEqual(directory.refFor(begin("ann"), request), { name: "orders/eu", id: 3, life: 7 });
  const ofDefault = await directory.openFor(begin("eve"), { log: "", logId: "7-0" }, {});
  assert.equal(ofDefault.log, log);
  await assert.rejects(async () => directory.openFor(begin("eve"), { log: "", logId: "8-0" }, {}));
  const opened = await directory.openFor(begin("ann", logPermissions.consume), request, {});
  assert.equal(opened.logId, "7-3");
});

test("a read has the id of its log, and default is opened at once", async () => {
  const { begin, directory, log } = await openDirectory();
  const call = begin("ann", logPermissions.consume);
  const opened = await directory.openFor(call, { log: "orders/eu" }, {});
  assert.deepEqual([opened.logId, opened.token()], ["7-3", "s7.5"]);
  await assert.rejects(
    async () => directory.openFor(call, { log: "orders/eu", logId: "7-4" }, {}),
    kind("failed-precondition"),
  );
  await assert.rejects(async () => directory.openFor(call, { log: "orders/us" }, {}), kind("not-found"));
  const write = begin("eve");
  const ofDefault = await directory.openFor(write, { log: "" }, {});
  assert.deepEqual([ofDefault.log, ofDefault.logId, ofDefault.token()], [log, undefined, undefined]);
  assert.equal(directory.idText(undefined), undefined);
  assert.equal(directory.idText(5), "7-5");
});

test("a name means the same log until the end of a stream", async () => {
  const { begin, directory } = await openDirectory();
  const call = begin("ann");
  pin(call, "orders/eu", 3);
  assert.deepEqual(
    directory.refFor(call, { log: "orders/eu" }),
    { name: "orders/eu" },
    "not in a unary call",
  );
  call.order = { ended: false };
  assert.deepEqual(directory.refFor(call, { log: "orders/eu" }), { name: "orders/eu" }, "not known yet");
  pin(call, "orders/eu", 3);
  pin(call, "orders/eu", 4);
  assert.deepEqual(directory.refFor(call, { log: "orders/eu" }), { name: "orders/eu", id: 3 });
  assert.deepEqual(directory.refFor(call, { log: "orders/eu", logId: "7-9" }), {
    name: "orders/eu",
    id: 9,
    life: 7,
  });
  // Also names of appends that are not acknowledged yet have their place.
  for (let at = 1; at < 256; at++) directory.refFor(call, { log: `orders/${at}` });
  assert.throws(() => directory.refFor(call, { log: "orders/more" }), kind("bad-request"));
  for (let at = 1; at < 256; at++) pin(call, `orders/${at}`, at);
  assert.throws(() => directory.refFor(call, { log: "orders/more" }), kind("bad-request"));
  assert.deepEqual(directory.refFor(call, { log: "orders/more", logId: "7-9" })?.id, 9, "with its id");
  assert.equal(call.resolved?.size, 256);
  assert.deepEqual(directory.refFor(call, { log: "orders/eu" }), { name: "orders/eu", id: 3 });
  assert.deepEqual(directory.refFor(call, { log: "orders/9" }), { name: "orders/9", id: 9 });
});

test("without named logs, there is only default", async () => {
  const { begin, calls, log } = await openDirectory();
  const directory = new LogDirectory({ log, named: undefined, calls });
  assert.equal(directory.refFor(begin("eve"), { log: "" }), undefined);
  assert.throws(() => directory.refFor(begin("eve"), { log: "a" }), kind("unimplemented"));
});
