import assert from "node:assert/strict";
import { test } from "node:test";
import {
  parseSetting,
  printSetting,
  textSettings,
} from "../../../../../src/api/methods/logs/setting-texts.ts";
import { LogSettingsSchema } from "../../../../../src/gen/log/v1/log_pb.js";

const setting = (name: string) => textSettings.find((one) => one.name === name)!;

test("each field of the message has a name, and its text comes back", () => {
  assert.deepEqual(
    textSettings.map(({ field }) => field).sort(),
    LogSettingsSchema.fields.map(({ name }) => name).sort(),
  );
  for (const [name, text] of [
    ["retention-bytes", "10GiB"],
    ["retention-age", "7d"],
    ["ttl", "24h"],
    ["ttl", "90m"],
    ["expires-at", "2030-01-01T00:00:00.000Z"],
    ["record-bytes-max", "1000"],
    ["content-type", "text/plain"],
  ] as const)
    assert.equal(printSetting(setting(name), parseSetting(setting(name), text)), text);
});

test("a text that is no value is a bad request that says what is expected", () => {
  for (const [name, text] of [
    ["ttl", "7"],
    ["ttl", "0"],
    ["max-bytes", "many"],
    ["max-bytes", "0"],
    ["expires-at", "2030-02-30T00:00:00Z"],
    ["expires-at", "tomorrow"],
    ["content-type", ""],
  ] as const)
    assert.throws(() => parseSetting(setting(name), text), {
      kind: "bad-request",
      message: new RegExp(`^${name} `),
    });
});
