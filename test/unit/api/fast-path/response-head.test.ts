import assert from "node:assert/strict";
import { test } from "node:test";
import { localIdentity } from "../../../../src/access/mod.ts";
import { OriginHeads, ResponseHead } from "../../../../src/api/fast-path/response-head.ts";
import { encodeBlock } from "../../../../src/http2/mod.ts";

test("a head of HTTP/2 is a block with the date, which is encoded again when the date changes", () => {
  let date = "one";
  const head = new ResponseHead(200, [["content-type", "text/plain"]], () => date);
  const block = (length: string, now: string) =>
    encodeBlock([
      [":status", "200"],
      ["content-type", "text/plain"],
      ["content-length", length],
      ["date", now],
    ]);
  assert.deepEqual(head.encoded(false, 5), block("5", "one"));
  assert.equal(head.encoded(false, 5), head.encoded(false, 5), "it is kept");
  date = "two";
  assert.deepEqual(head.encoded(false, 5), block("5", "two"));
  assert.deepEqual(head.encoded(false, 1_000_000), block("1000000", "two"));
});

test("a head of HTTP/1.1 is lines, with or without a content-length", () => {
  const head = new ResponseHead(404, [["a", "b"]], () => "now");
  assert.equal(
    Buffer.from(head.encoded(true, 0)).toString(),
    "HTTP/1.1 404 Not Found\r\na: b\r\ncontent-length: 0\r\n",
  );
  assert.equal(Buffer.from(head.encoded(true)).toString(), "HTTP/1.1 404 Not Found\r\na: b\r\n");
  assert.equal(
    Buffer.from(head.encoded(true, 256)).toString(),
    "HTTP/1.1 404 Not Found\r\na: b\r\ncontent-length: 256\r\n",
  );
});

test("a request of an origin that is not allowed has no heads, others have the fields for browsers", () => {
  const heads = new OriginHeads({ origins: ["https://good.example"], hosts: [] }, () => "now");
  const client = { identity: localIdentity, peer: "p", secure: false };
  const linesFor = (headers: Record<string, string>): string | undefined => {
    const found = heads.of({ ":authority": "here:80", ...headers }, client);
    return found === undefined ? undefined : Buffer.from(found.make(200, []).encoded(true)).toString();
  };
  assert.equal(linesFor({ origin: "https://evil.example" }), undefined);
  assert.equal(linesFor({ "sec-fetch-site": "cross-site" }), undefined);
  assert.doesNotMatch(linesFor({})!, /vary/);
  assert.match(linesFor({ origin: "http://here:80" })!, /vary: Origin\r\n$/);
  assert.match(
    linesFor({ origin: "https://good.example" })!,
    /access-control-allow-origin: https:\/\/good.example\r\n/,
  );
});
