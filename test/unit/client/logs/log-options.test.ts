import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { namedLogInfoOf, settingsInit, updateInit } from "../../../../src/client/logs/log-options.ts";
import { LogInfoSchema } from "../../../../src/gen/log/v1/log_pb.js";

test("options become settings, and absent ones are not set", () => {
  assert.deepEqual(settingsInit({}), {});
  assert.deepEqual(settingsInit({ maxBytes: 0, recordBytesMax: 5, contentType: "text/plain" }), {
    maxBytes: 0n,
    recordBytesMax: 5n,
    contentType: "text/plain",
  });
});

test("a change names what it changes, and null gives an option the value of the cluster", () => {
  assert.deepEqual(updateInit({ maxBytes: 7, contentType: null, recordBytesMax: undefined }), {
    settings: { maxBytes: 7n },
    updateMask: { paths: ["max_bytes", "content_type"] },
  });
  assert.throws(() => updateInit({}), { kind: "bad-request" });
});

test("an unknown option and a value of another type are refused by name", () => {
  assert.throws(() => settingsInit({ maxByte: 1 } as never), {
    kind: "bad-request",
    message: /"maxByte".*maxBytes/,
  });
  assert.throws(() => settingsInit({ maxBytes: -1 }), { kind: "bad-request", message: /maxBytes/ });
  assert.throws(() => settingsInit({ recordBytesMax: "5" as never }), { kind: "bad-request" });
  assert.throws(() => settingsInit({ contentType: 5 as never }), {
    kind: "bad-request",
    message: /contentType/,
  });
});

test("a description has numbers, and only the options that are set", () => {
  const log = create(LogInfoSchema, {
    name: "orders",
    logId: "7-1",
    settings: { maxBytes: 9n },
    lowestOffset: 1n,
    nextOffset: 3n,
    bytes: 40n,
    createdMs: 5n,
    lastTimestampMs: 6n,
    closed: true,
    version: 12n,
    owner: "alice",
  });
  assert.deepEqual(namedLogInfoOf(log), {
    name: "orders",
    id: "7-1",
    options: { maxBytes: 9 },
    owner: "alice",
    lowest: 1,
    next: 3,
    bytes: 40,
    createdMs: 5,
    lastTimestampMs: 6,
    closed: true,
    version: 12,
  });
});
