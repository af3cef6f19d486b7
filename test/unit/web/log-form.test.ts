import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  bytesText,
  changedPaths,
  checkSettings,
  draftOf,
  emptySettings,
  momentText,
  parseBytes,
  parseMoment,
  parseSpan,
  spanText,
} from "../../../web/src/core/log-form.ts";

test("a size is read as people write it, and written so that it is read as the same number", () => {
  assert.equal(parseBytes("1,048,576"), 1 << 20);
  assert.equal(parseBytes(" 64 MiB "), 64 << 20);
  assert.equal(parseBytes("1.5kib"), 1536);
  assert.equal(parseBytes("0"), 0);
  for (const wrong of ["", "x", "1 MB", "-1", "1.5", "0.3 KiB", "99999999 TiB"]) {
    assert.equal(parseBytes(wrong), undefined, wrong);
  }
  fc.assert(
    fc.property(fc.maxSafeNat(), (bytes) => {
      assert.equal(parseBytes(bytesText(bytes)), bytes);
    }),
    { seed: 3 },
  );
  assert.equal(bytesText(1 << 30), "1 GiB");
  assert.equal(bytesText(1000), "1000");
  assert.equal(bytesText(undefined), "");
});

test("a duration is read as people write it, and written so that it is read as the same number", () => {
  assert.equal(parseSpan("7d"), 7 * 86_400_000);
  assert.equal(parseSpan(" 1 h 30 m "), 5_400_000);
  for (const wrong of ["", "x", "7", "0", "1w", "-1d", "99999999999999d"]) {
    assert.equal(parseSpan(wrong), undefined, wrong);
  }
  fc.assert(
    fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (ms) => {
      assert.equal(parseSpan(spanText(ms)), ms);
    }),
    { seed: 3 },
  );
  assert.deepEqual([5_400_000, 86_400_000, undefined].map(spanText), ["90m", "1d", ""]);
});

test("a time of expiry is read as a date or a time, and written so that it is read as the same number", () => {
  assert.equal(parseMoment("2030-01-31"), Date.UTC(2030, 0, 31));
  assert.equal(parseMoment(" 2030-01-31T12:00:00+01:00 "), Date.UTC(2030, 0, 31, 11));
  for (const wrong of ["", "x", "2030", "2030-02-30", "tomorrow", "1969-12-31", "@0"])
    assert.equal(parseMoment(wrong), undefined, wrong);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (ms) => {
      assert.equal(parseMoment(momentText(ms)), ms);
    }),
    { seed: 3 },
  );
  const written = [Date.UTC(2030, 0, 31), Date.UTC(2030, 0, 31, 12), 1, undefined].map(momentText);
  assert.deepEqual(written, ["2030-01-31", "2030-01-31T12:00:00Z", "1970-01-01T00:00:00.001Z", ""]);
});

test("a form states what is filled in, and names the first field that is wrong", () => {
  const none = {
    retentionBytes: undefined,
    retentionAgeMs: undefined,
    maxBytes: undefined,
    recordBytesMax: undefined,
    ttlMs: undefined,
    expiresAtMs: undefined,
    contentType: undefined,
  };
  assert.deepEqual(checkSettings(emptySettings), { ok: true, settings: none });
  assert.deepEqual(draftOf(none), emptySettings);
  const draft = {
    ...emptySettings,
    retentionBytes: "2GiB",
    retentionAgeMs: "168h",
    maxBytes: "1 GiB",
    recordBytesMax: " ",
    ttlMs: "24h",
    expiresAtMs: " 2030-01-31 ",
    contentType: " text/plain ",
  };
  const settings = {
    ...none,
    retentionBytes: 2 ** 31,
    retentionAgeMs: 7 * 86_400_000,
    maxBytes: 1 << 30,
    ttlMs: 86_400_000,
    expiresAtMs: Date.UTC(2030, 0, 31),
    contentType: "text/plain",
  };
  assert.deepEqual(checkSettings(draft), { ok: true, settings });
  assert.deepEqual(draftOf(settings), {
    retentionBytes: "2 GiB",
    retentionAgeMs: "7d",
    maxBytes: "1 GiB",
    recordBytesMax: "",
    ttlMs: "1d",
    expiresAtMs: "2030-01-31",
    contentType: "text/plain",
  });
  const wrong = checkSettings({ ...draft, retentionAgeMs: "a week", recordBytesMax: "much" });
  assert.equal(!wrong.ok && wrong.field, "retentionAgeMs");
});

test("the mask of a change names only what differs, also a setting that is removed", () => {
  const before = {
    retentionBytes: undefined,
    retentionAgeMs: 1,
    maxBytes: 1,
    recordBytesMax: 2,
    ttlMs: 5,
    expiresAtMs: undefined,
    contentType: "a/b",
  };
  assert.deepEqual(changedPaths(before, { ...before, maxBytes: undefined }), ["max_bytes"]);
  assert.deepEqual(changedPaths(before, before), []);
  assert.deepEqual(changedPaths(before, { ...before, ttlMs: undefined, expiresAtMs: 7 }), [
    "ttl_ms",
    "expires_at_ms",
  ]);
  const after = { ...before, retentionAgeMs: 2, recordBytesMax: 3, contentType: undefined };
  assert.deepEqual(changedPaths(before, after), ["retention_age_ms", "record_bytes_max", "content_type"]);
});
