import assert from "node:assert/strict";
import { test } from "node:test";
import {
  defaultDescriptionOf,
  descriptionOf,
  identityOf,
  logChangeOf,
  settingsOf,
} from "../../../../../src/api/http/logs/log-info-json.ts";
import { Fault } from "../../../../../src/fault.ts";
import type { LogInfo } from "../../../../../src/types.ts";

const info: LogInfo = {
  id: 2,
  life: 9,
  name: "a/b",
  settings: { maxBytes: 10 },
  version: 7,
  bytes: 5,
  createdMs: 1,
  lastMs: 3,
  closed: false,
  lowest: 1,
  next: 4,
};

test("settings have the names of the contract; null states none, and removes one in a change", () => {
  assert.deepEqual(settingsOf(Buffer.alloc(0)), {});
  const body = Buffer.from(
    '{"max_bytes":1,"record_bytes_max":null,"content_type":"text/plain; charset=utf-8"}',
  );
  assert.deepEqual(settingsOf(body), { maxBytes: 1, contentType: "text/plain; charset=utf-8" });
  const settings = { maxBytes: 1, recordBytesMax: null, contentType: "text/plain; charset=utf-8" };
  assert.deepEqual(logChangeOf(body), { kind: "update", settings });
  assert.deepEqual(logChangeOf(Buffer.from('{"closed":true}')), { kind: "close" });
});

test("what is no setting is refused, and so is a value out of its range", () => {
  for (const text of [
    "[]",
    "x",
    '{"maxBytes":1}',
    '{"ttlMs":1}',
    '{"toString":1}',
    '{"max_bytes":0}',
    '{"max_bytes":"1"}',
    '{"max_bytes":1.5}',
    '{"max_bytes":1e300}',
    '{"content_type":1}',
    '{"content_type":"é/a"}',
    '{"content_type":"text/plain\\n"}',
    '{"max_bytes":1,"max_bytes":2}',
  ])
    assert.throws(
      () => settingsOf(Buffer.from(text)),
      (reason) => reason instanceof Fault && reason.kind === "bad-request",
      text,
    );
});

test("a description has id, settings and extent; that of default has only its extent", () => {
  assert.deepEqual(identityOf(info), { name: "a/b", log_id: "9-2", settings: { max_bytes: 10 } });
  assert.deepEqual(descriptionOf(info), {
    name: "a/b",
    log_id: "9-2",
    settings: { max_bytes: 10 },
    lowest_offset: 1,
    next_offset: 4,
    bytes: 5,
    created_ms: 1,
    last_timestamp_ms: 3,
    closed: false,
    version: 7,
  });
  const stored = { lowest: 0, next: 2, bytes: 9, segments: [], sync: "always", diskFreeBytes: 1 };
  assert.deepEqual(
    defaultDescriptionOf({ ...stored, defaultBytes: 7 }, () => true),
    { name: "default", settings: {}, lowest_offset: 0, next_offset: 2, bytes: 7 },
    "without the bytes of named logs",
  );
  const logs = [
    { name: "a", bytes: 2 },
    { name: "secret", bytes: 1 },
  ];
  const space = {
    ...{ bytes: 9, removedBytes: 3, deletedBytes: 0, reclaimableBytes: 2, ageMs: 5 },
    ...{ removed: logs, keeping: logs },
  };
  assert.deepEqual(
    defaultDescriptionOf({ ...stored, space }, (name) => name !== "secret"),
    {
      ...{ name: "default", settings: {}, lowest_offset: 0, next_offset: 2, bytes: undefined },
      space: {
        ...{ bytes: 9, removed_bytes: 3, deleted_bytes: 0, reclaimable_bytes: 2, age_ms: 5 },
        ...{ removed: logs.slice(0, 1), keeping: logs.slice(0, 1) },
      },
    },
    "without logs that the caller may not know",
  );
});
