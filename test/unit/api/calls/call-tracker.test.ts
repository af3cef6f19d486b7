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
import { systemClock } from "../../../../src/lib/time/clock.ts";

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
  await access.setPolicy({ policy: "p, root, *, consume\n" });
  assert.deepEqual(revoked.splice(0), ["log.v1.Log/Produce permission-denied"]);
  await access.setPolicy({ policy: "p, root, *, produce\n" });
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
    isAuthenticated: () => true,
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
