import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { fieldOf, settingNames, settingsOf, settingsText } from "../../../src/cli/log-settings.ts";
import { LogInfoSchema, LogSettingsSchema } from "../../../src/gen/log/v1/log_pb.js";

const flags = {
  retentionBytes: "1GiB",
  retentionAge: "7d",
  maxBytes: "64MiB",
  ttl: "1h30m",
  expiresAt: "2030-01-01T00:00:00Z",
  recordBytesMax: "1KiB",
  contentType: "text/plain",
};

test("each flag is a field of the message, and its value comes back as text", () => {
  const settings = settingsOf(flags);
  assert.deepEqual(settings, {
    retentionBytes: 2n ** 30n,
    retentionAgeMs: 604_800_000n,
    maxBytes: 2n ** 26n,
    ttlMs: 5_400_000n,
    expiresAtMs: BigInt(Date.UTC(2030, 0, 1)),
    recordBytesMax: 1024n,
    contentType: "text/plain",
  });
  const fields = LogSettingsSchema.fields.map(({ name }) => name);
  assert.deepEqual([...settingNames.map(fieldOf)].sort(), [...fields].sort());
  assert.equal(
    settingsText(create(LogInfoSchema, { settings })),
    "retention-bytes=1GiB retention-age=7d max-bytes=64MiB ttl=90m expires-at=2030-01-01T00:00:00.000Z " +
      "record-bytes-max=1KiB content-type=text/plain",
  );
  assert.equal(settingsText(create(LogInfoSchema, {})), "-");
});

test("a value that is not valid names its flag", () => {
  for (const [name, value] of [
    ["retentionAge", "7"],
    ["retentionAge", "0"],
    ["maxBytes", "lots"],
    ["ttl", "-1s"],
    ["expiresAt", "tomorrow"],
    ["expiresAt", "2030-13-01T00:00:00Z"],
  ] as const) {
    assert.throws(() => settingsOf({ [name]: value }), { kind: "config" }, `${name} ${value}`);
  }
});
