import assert from "node:assert/strict";
import { test } from "node:test";
import { HeadEnds } from "../../../../../src/server/http/direct/head-ends.ts";

test("a head ends with the fields that Node adds, and the date of the second", () => {
  const clock = { wallMs: () => 1_700_000_000_123 };
  const ends = new HeadEnds(clock, 65_999);
  const text = (isChunked: boolean, closes: boolean): string =>
    Buffer.from(ends.of(isChunked, closes)).toString();
  const date = "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n";
  assert.equal(text(false, false), `${date}Connection: keep-alive\r\nKeep-Alive: timeout=65\r\n\r\n`);
  assert.equal(text(true, true), `${date}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n`);
  assert.equal(ends.of(false, false), ends.of(false, false), "it is kept");
});
