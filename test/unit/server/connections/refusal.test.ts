import assert from "node:assert/strict";
import { test } from "node:test";
import { plaintextRefusal, refusalBytes } from "../../../../src/server/connections/refusal.ts";

test("a refusal is a complete response in HTTP/1.1, and SETTINGS and GOAWAY in HTTP/2", () => {
  const [head = "", body = ""] = refusalBytes("http1", plaintextRefusal).toString().split("\r\n\r\n");
  assert.match(head, /^HTTP\/1\.1 400 /);
  assert.match(head, new RegExp(`content-length: ${body.length}\\b`));
  const frames = refusalBytes("http2", plaintextRefusal);
  assert.equal(frames.readUIntBE(0, 3), 0);
  assert.equal(frames[3], 4);
  assert.equal(frames.readUIntBE(9, 3), frames.length - 18);
  assert.equal(frames[12], 7);
});
