import assert from "node:assert/strict";
import { test } from "node:test";
import { settingDifferences } from "../../../../src/log/mod.ts";

test("each setting that differs is named as in the contract, with both values", () => {
  assert.equal(settingDifferences({}, {}), "");
  assert.equal(settingDifferences({ ttlMs: 5 }, { ttlMs: 5 }), "");
  assert.equal(
    settingDifferences({ ttlMs: 5, contentType: "a/b" }, { ttlMs: 6, recordBytesMax: 7 }),
    "ttl_ms is 6, stated was 5; record_bytes_max is 7, stated was none; content_type is not set, stated was a/b",
  );
  assert.equal(
    settingDifferences({ ttlMs: 5 }, { recordBytesMax: 7 }, ["ttlMs"]),
    "ttl_ms is not set, stated was 5",
  );
});
