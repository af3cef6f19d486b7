import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import {
  changedFromValue,
  changedToValue,
  changeFromValue,
  changeToValue,
  refFromValue,
  refToValue,
} from "../../../../src/peer/wire/log-change-codec.ts";
import { pack, unpackChecked } from "../../../../src/replication/storage/msgpack.ts";
import type { LogChange, LogInfo } from "../../../../src/types.ts";

/** The value as it arrives. */
const sent = (value: unknown): unknown => unpackChecked(pack(value)).value;
const isKind =
  (kind: string) =>
  (fault: unknown): boolean =>
    fault instanceof Fault && fault.kind === kind;

const info: LogInfo = {
  id: 7,
  life: 0xffff_ffff,
  name: "\u{1f600}/a",
  settings: { maxBytes: 5, contentType: "text/plain" },
  createdMs: 1,
  lowest: 2,
  next: 2 ** 50,
  bytes: 4,
  lastMs: 5,
  version: 6,
  closed: true,
};

test("changes arrive as they were sent", () => {
  const changes: LogChange[] = [
    { kind: "create", name: "a", settings: {} },
    { kind: "create", name: "\u{1f600}", settings: { ttlMs: 0, contentType: "x" } },
    { kind: "update", log: { name: "a", id: 0xffff_ffff }, settings: { ttlMs: null, maxBytes: 3 } },
    { kind: "update", log: { name: "a" }, settings: {}, version: 2 ** 40 },
    { kind: "create", name: "a", settings: { ttlMs: 1 }, validateOnly: true },
    { kind: "update", log: { name: "a", id: 2, life: 7 }, settings: {}, version: 3, validateOnly: true },
    { kind: "close", log: { name: "a" } },
    { kind: "delete", log: { name: "a", id: 1, life: 7 } },
    { kind: "delete", log: { name: "a", id: 1 }, version: 0 },
  ];
  for (const change of changes) assert.deepEqual(changeFromValue(sent(changeToValue(change))), change);
});

test("a change that is only checked has a kind that earlier versions refuse", () => {
  const kinds = (["create", "update"] as const).map((kind) => {
    const log = { name: "a" };
    const change: LogChange =
      kind === "create"
        ? { kind, name: "a", settings: {}, validateOnly: true }
        : { kind, log, settings: {}, validateOnly: true };
    return (changeToValue(change) as unknown[])[0];
  });
  assert.deepEqual(kinds, ["check-create", "check-update"]);
});

test("results arrive as they were sent", () => {
  for (const changed of [
    { log: info, created: true },
    { log: undefined, created: false },
    { log: undefined, created: true },
  ])
    assert.deepEqual(changedFromValue(sent(changedToValue(changed))), changed);
});

test("a create with a name that no client could give is a bad request", () => {
  for (const name of ["default", "a/../b", "/a", "a/", "a//b", "_a", "x*", "a\u0000", "e\u0301", "a\ud800"]) {
    assert.throws(() => changeFromValue(["create", name, null, {}, null]), isKind("bad-request"), name);
    // Only for a log that exists is the name compared with those that there are.
    changeFromValue(["delete", name, null, null, null]);
  }
});

test("a malformed change is a bad request", () => {
  const wrong = [
    null,
    [],
    ["create"],
    ["create", "", null, {}, null],
    ["create", "x".repeat(256), null, {}, null],
    ["create", "a", null, null, null],
    ["create", "a", null, { maxBytes: -1 }, null],
    ["update", "a", null, null, null],
    ["update", "a", null, { ttlMs: "1" }, null],
    ["close", "a", -1, null, null],
    ["close", "a", 2 ** 32, null, null],
    ["delete", "a", null, null, 1.5],
    ["rename", "a", null, null, null],
  ];
  for (const value of wrong)
    assert.throws(() => changeFromValue(value), isKind("bad-request"), JSON.stringify(value));
});

test("after a malformed result it is not known whether the log was changed", () => {
  const { id: _, ...noId } = info;
  const wrong = [{}, noId, { ...info, next: "9" }].concat(
    [null, [], { maxBytes: "9" }, { contentType: 1 }].map((settings) => ({ ...info, settings })),
  );
  for (const value of [null, [], [1, null], ...wrong.map((log) => [true, log])]) {
    assert.throws(
      () => changedFromValue(value),
      (fault) => fault instanceof Fault && fault.written === "unknown",
    );
  }
});

test("a reference has a name of at most 255 bytes and an id of 32 bits, or none", () => {
  for (const ref of [{ name: "a" }, { name: "a", id: 0xffff_ffff }, { name: "a", id: 1, life: 7 }])
    assert.deepEqual(refFromValue(sent(refToValue(ref))), ref);
  for (const value of [
    undefined,
    "a",
    ["a"],
    ["", 1],
    [1, 1],
    ["a", 2 ** 32],
    ["a", 1.5],
    ["a", 1, "7"],
    ["ü".repeat(128), 1],
  ])
    assert.equal(refFromValue(value), undefined);
});
