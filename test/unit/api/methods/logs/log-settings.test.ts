import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { changeOf, settingsMessage, settingsOf } from "../../../../../src/api/methods/logs/log-settings.ts";
import { LogSettingsSchema, UpdateLogRequestSchema } from "../../../../../src/gen/log/v1/log_pb.js";

const stated = (init: MessageInitShape<typeof LogSettingsSchema>) =>
  settingsOf(create(LogSettingsSchema, init));
const change = (init: MessageInitShape<typeof UpdateLogRequestSchema>) =>
  changeOf(create(UpdateLogRequestSchema, init));

test("only what is set is stated", () => {
  assert.deepEqual(settingsOf(undefined), {});
  assert.deepEqual(stated({}), {});
  assert.deepEqual(stated({ maxBytes: 7n, recordBytesMax: 1n, contentType: "a/b" }), {
    maxBytes: 7,
    recordBytesMax: 1,
    contentType: "a/b",
  });
});

test("every setting comes back from its message", () => {
  const settings = {
    retentionBytes: 1,
    retentionAgeMs: 2,
    maxBytes: 3,
    ttlMs: 4,
    expiresAtMs: 5,
    recordBytesMax: 6,
    contentType: "text/plain",
  };
  assert.deepEqual(stated(settingsMessage(settings)), settings);
  assert.deepEqual(settingsMessage({}), {});
});

test("a size of 0, one above 2^53 and a type that is no header are bad requests", () => {
  const wrong: readonly MessageInitShape<typeof LogSettingsSchema>[] = [
    { maxBytes: 0n },
    { recordBytesMax: 0n },
    { maxBytes: 2n ** 53n },
    { contentType: "" },
    { contentType: "a\r\nb" },
    { contentType: "ü" },
    { contentType: "x".repeat(256) },
  ];
  for (const init of wrong) assert.throws(() => stated(init), { kind: "bad-request" });
});

test("a mask says what changes: what it names and is not set is removed", () => {
  const settings = { maxBytes: 7n };
  assert.deepEqual(change({ settings }), { maxBytes: 7 });
  assert.deepEqual(change({ settings, updateMask: { paths: ["max_bytes", "content_type"] } }), {
    maxBytes: 7,
    contentType: null,
  });
  assert.deepEqual(change({ updateMask: { paths: ["record_bytes_max"] } }), { recordBytesMax: null });
  assert.deepEqual(change({}), {});
});

test("a mask that names no setting, or not all that are set, is a bad request", () => {
  const facts = { field: "update_mask" };
  for (const paths of [["ttl"], ["*"], ["maxBytes"], ["content_type"]])
    assert.throws(() => change({ settings: { maxBytes: 7n }, updateMask: { paths } }), {
      kind: "bad-request",
      facts,
    });
});
