import assert from "node:assert/strict";
import { test } from "node:test";
import { hint, nearest } from "../../../../src/agent/config/suggest.ts";

test("the nearest name is suggested up to one edit per three letters", () => {
  const known = ["data-dir", "addr", "sync"];
  assert.equal(nearest("data-dri", known), "data-dir");
  assert.equal(nearest("adr", known), "addr");
  assert.equal(nearest("sinc", known), "sync");
  assert.equal(nearest("snic", ["sync"]), undefined);
  assert.equal(nearest("retention", known), undefined);
  assert.equal(hint("adr", known, "--"), ", did you mean --addr?");
  assert.equal(hint("zzz", known), "");
});

test("a different word is not suggested", () => {
  const known = ["addr", "data-dir", "retention-age", "retention-bytes"];
  assert.equal(nearest("adr", known), "addr");
  assert.equal(nearest("addr ", known), "addr");
  assert.equal(nearest("data-dri", known), "data-dir");
  assert.equal(nearest("retention_bytes", known), "retention-bytes");
  assert.equal(nearest("xyz", known), undefined);
  assert.equal(hint("dta-dir", known, "--"), ", did you mean --data-dir?");
  assert.equal(hint("nonsense", known), "");
});
