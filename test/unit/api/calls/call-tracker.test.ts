import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AccessControl,
  anonymousIdentity,
  localIdentity,
  namedIdentity,
} from "../../../../src/access/mod.ts";
import { abortControllerOf, faultOfAbort, signalOf, unlessAborted } from "../../../../src/api/calls/abort.ts";
import { CallTracker } from "../../../../src/api/calls/call-tracker.ts";
import {
  clusterPermissions,
  logPermissions,
  logsPermissions,
} from "../../../../src/api/calls/method-permissions.ts";
import { Fault } from "../../../../src/fault.ts";
import { type CallStart, noTelemetry } from "../../../../src/lib/telemetry.ts";
import { type Clock, systemClock } from "../../../../src/lib/time/clock.ts";
import { until } from "../../../support/until.ts";

function openTracker(access = new AccessControl()) {
  const ended: string[] = [];
  const telemetry = {
    ...noTelemetry,
    begin: (start: CallStart) => ({
      ...noTelemetry.begin(start),
      end: (code: string, bytesIn: number, bytesOut: number) =>
        ended.push(`${start.method} ${start.subject} ${code} ${bytesIn} ${bytesOut}`),
    }),
  };
  return { ended, calls: new CallTracker({ access, telemetry, clock: systemClock }), access };
}
const caller = (subject: string) => ({ identity: namedIdentity(subject), peer: "p", secure: true });
const meta = { protocol: "grpc" } as const;

test("a call ends once, with its code and its bytes", () => {
  const { calls, ended } = openTracker();
  const call = calls.beginCall(logPermissions.produce, caller("root"), meta);
  call.bytesIn = 3;
  calls.endCall(call);
  calls.endCall(call, new Fault("unknown"));
  calls.endCallWithCode(call, "canceled");
  const failed = calls.beginCall(logPermissions.consume, caller("root"), meta);
  calls.endCall(failed, new Fault("out-of-range"));
  assert.deepEqual(ended, ["log.v1.Log/Produce root ok 3 0", "log.v1.Log/Consume root out_of_range 0 0"]);
});

test("a call without the permission is refused, and the refusal is reported", () => {
  const { calls, ended } = openTracker();
  assert.throws(() => calls.beginCall(clusterPermissions.addNode, caller("root"), meta), {
    kind: "permission-denied",
  });
  const anonymous = { identity: anonymousIdentity, peer: "p", secure: true };
  assert.throws(() => calls.beginCall(logPermissions.produce, anonymous, meta), { kind: "unauthenticated" });
  assert.throws(() => calls.beginCall(logPermissions.getServers, anonymous, meta), {
    kind: "unauthenticated",
  });
  const local = { identity: localIdentity, peer: "p", secure: false };
  calls.endCall(calls.beginCall(clusterPermissions.addNode, local, meta));
  assert.deepEqual(
    ended.map((line) => line.split(" ")[2]),
    ["permission_denied", "unauthenticated", "unauthenticated", "ok"],
  );
});

test("every call in progress is checked again when the access rules change", async () => {
  const { calls, access } = openTracker();
  await access.setPolicy({ policy: "p, root, *, consume\np, root, *, produce\n" });
  const open = [logPermissions.consumeStream, logPermissions.consume, logPermissions.produce].map(
    (permission) => calls.beginCall(permission, caller("root"), meta),
  );
  const revoked: string[] = [];
  for (const call of open) call.onRevoked = (fault) => revoked.push(`${call.permission.name} ${fault.kind}`);
  const checked = (): Promise<unknown> =>
    until("all are checked", () => open.every(({ checkFirst }) => checkFirst === undefined));
  await access.setPolicy({ policy: "p, root, *, consume\n" });
  await checked();
  assert.deepEqual(revoked.splice(0), ["log.v1.Log/Produce permission-denied"]);
  await access.setPolicy({ policy: "p, root, *, produce\n" });
  await checked();
  assert.deepEqual(revoked.splice(0), [
    "log.v1.Log/ConsumeStream permission-denied",
    "log.v1.Log/Consume permission-denied",
  ]);
  assert.equal(calls.openCalls, 3);
  for (const call of open) calls.endCall(call);
  assert.equal(calls.openCalls, 0);
  await access.setPolicy({ policy: "# none\n" });
  assert.deepEqual(revoked, []);
});

test("a call that lost its permission before it waited does not begin its work, unless it has the permission again", async () => {
  const { calls, access } = openTracker();
  const rules = "p, root, *, produce\n";
  await access.setPolicy({ policy: rules });
  const call = calls.beginCall(logPermissions.produce, caller("root"), meta);
  call.requireAllowed();
  await access.setPolicy({ policy: "p, root, *, consume\n" });
  assert.throws(() => call.requireAllowed(), { kind: "permission-denied", written: "no" });
  const { signal } = abortControllerOf(call, new AbortController().signal);
  assert.equal(faultOfAbort(signal).kind, "permission-denied");
  await access.setPolicy({ policy: rules });
  call.requireAllowed();
  assert.ok(!signalOf(call, new AbortController().signal).aborted);
  calls.endCall(call);
});

test("the permissions for many logs are checked a few in a turn, if only Casbin knows the model", async () => {
  let inTurn = 0;
  let most = 0;
  const rules = {
    check: () => true,
    authorize: (): void => {
      if (inTurn++ === 0) setImmediate(() => (inTurn = 0));
      most = Math.max(most, inTurn);
    },
    authorizeSome: (): void => undefined,
    authenticate: () => undefined,
    onReload: () => () => undefined,
    patternsOf: () => undefined,
  };
  using calls = new CallTracker({ access: rules, telemetry: noTelemetry, clock: systemClock });
  const call = calls.beginCall(logsPermissions.tailLogs, caller("root"), meta);
  const names = Array.from({ length: 256 }, (_, n) => `log ${n}`);
  await calls.useLogs(call, names);
  assert.deepEqual([call.otherObjects, most], [names, 4]);
  calls.endCall(call);
});

/** Rules of a model that only Casbin knows: each decision takes 10 ms. */
function slowRules() {
  const time = { nowMs: 0, inTurn: 0, most: 0 };
  const denied = new Set<string>();
  let reload = (): void => undefined;
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => time.nowMs,
    soon: (work) =>
      void setImmediate(() => {
        time.inTurn = 0;
        work();
      }),
  };
  const access = {
    check: (_: unknown, object: string) => !denied.has(object),
    authorize: (_: unknown, object: string): void => {
      time.nowMs += 10;
      time.most = Math.max(time.most, ++time.inTurn);
      if (denied.has(object)) throw new Fault("permission-denied", { message: object });
    },
    authorizeSome: (): void => undefined,
    authenticate: () => undefined,
    onReload: (listener: () => void) => {
      reload = listener;
      return () => undefined;
    },
    patternsOf: () => undefined,
  };
  const calls = new CallTracker({ access, telemetry: noTelemetry, clock });
  const change = (...names: string[]): void => {
    denied.clear();
    for (const name of names) denied.add(name);
    [time.inTurn, time.most] = [0, 0];
    reload();
  };
  return { calls, time, change };
}

/** A call about 256 logs. */
async function beginTail(calls: CallTracker) {
  const call = calls.beginCall(logsPermissions.tailLogs, caller("root"), meta);
  await calls.useLogs(
    call,
    Array.from({ length: 256 }, (_, n) => `log ${n}`),
  );
  const revoked: string[] = [];
  call.onRevoked = (fault) => revoked.push(fault.message);
  return { call, revoked };
}

test("changed rules are applied to calls in progress a few decisions in a turn, until the last one", async () => {
  const { calls, time, change } = slowRules();
  const tails = [await beginTail(calls), await beginTail(calls)];
  change("log 254");
  assert.ok(time.most <= 1, `${time.most} decisions`);
  assert.deepEqual([tails[0]!.revoked, tails[1]!.revoked], [[], []]);
  await until("all calls are checked", () => tails.every(({ revoked }) => revoked.length > 0));
  assert.deepEqual([tails[0]!.revoked, tails[1]!.revoked], [["log 254"], ["log 254"]]);
  assert.ok(time.most <= 1, `${time.most} decisions in a turn`);
  for (const { call } of tails) calls.endCall(call);
});

test("rules that change while calls are checked by the ones before are applied alone", async () => {
  const { calls, change } = slowRules();
  const { call, revoked } = await beginTail(calls);
  change("log 250");
  await new Promise(setImmediate);
  change("log 9");
  await until("the call is checked", () => revoked.length > 0);
  assert.deepEqual(revoked, ["log 9"]);
  call.onRevoked = (fault) => revoked.push(fault.message);
  change();
  await until("the call has its permission again", () => call.revoked === undefined);
  calls.endCall(call);
});

test("a call whose turn to be checked has not come begins no work that changed rules deny", async () => {
  const { calls, change } = slowRules();
  const { call: first } = await beginTail(calls);
  const append = calls.beginCall(logPermissions.produce, caller("root"), { ...meta, object: "orders" });
  change("orders");
  assert.throws(() => calls.useLog(append, "orders"), { kind: "permission-denied" });
  assert.throws(() => append.requireAllowed(), { kind: "permission-denied" });
  for (const call of [first, append]) calls.endCall(call);
});

test("a server that stops ends long calls, including a long poll", () => {
  const { calls } = openTracker();
  const ended: string[] = [];
  const begin = (name: string, permission: typeof logPermissions.consume, long: boolean): void => {
    const call = calls.beginCall(permission, caller("root"), meta);
    call.long ||= long;
    call.onRevoked = ({ kind }) => ended.push(`${name} ${kind}`);
  };
  begin("tail", logPermissions.consumeStream, false);
  begin("read", logPermissions.consume, false);
  begin("long poll", logPermissions.consume, true);
  calls.endLong(new Fault("unavailable"));
  assert.deepEqual(ended, ["tail unavailable", "long poll unavailable"]);
});

test("a revoked call aborts what it waits for, and a write in flight is then unknown", async () => {
  const { calls } = openTracker();
  const call = calls.beginCall(logPermissions.produceStream, caller("root"), meta);
  const signal = signalOf(call, new AbortController().signal);
  const waiting = unlessAborted(new Promise(() => undefined), signal, "unknown");
  calls.endLong(new Fault("unavailable"));
  await assert.rejects(waiting, { kind: "unavailable", written: "unknown" });
  assert.equal(faultOfAbort(signal).written, "no");
  assert.equal(await unlessAborted(Promise.resolve(7), new AbortController().signal, "no"), 7);
});
