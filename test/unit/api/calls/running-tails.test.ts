import assert from "node:assert/strict";
import { test } from "node:test";
import { logObject } from "../../../../src/access/mod.ts";
import { tailPermission } from "../../../../src/api/calls/method-permissions.ts";
import { type CallTail, runningTails, type TailingCall } from "../../../../src/api/calls/running-tails.ts";

const call = (subject: string, object: string, tail?: CallTail): TailingCall => ({
  ...{ subject, object, permission: tailPermission, tail },
});
const at = (position: number): CallTail => ({ of: { position }, sinceMs: position });

test("the tails of a log are listed, the one that is furthest behind first, those of several logs last", () => {
  const calls = [
    call("several", "z", { reads: (log) => log.startsWith("a"), sinceMs: 0 }),
    call("near", "a", at(9)),
    call("far", "a", at(2)),
    call("other log", "b", at(1)),
    call("default", logObject, at(0)),
    call("no tail", "a"),
  ];
  const of = (log: string, object: string, limit: number) => {
    const { tails, count } = runningTails(calls, { log, object }, limit);
    return [tails.map(({ subject, position }) => [subject, position]), count];
  };
  assert.deepEqual(of("a", "a", 9), [
    [
      ["far", 2],
      ["near", 9],
      ["several", undefined],
    ],
    3,
  ]);
  assert.deepEqual(of("a", "a", 1), [[["far", 2]], 3]);
  assert.deepEqual(of("default", logObject, 9), [[["default", 0]], 1]);
  const [first] = runningTails(calls, { log: "b", object: "b" }, 1).tails;
  assert.deepEqual(first, { subject: "other log", method: "GET /tail", position: 1, sinceMs: 1 });
});
