import assert from "node:assert/strict";
import { test } from "node:test";
import { areTrailers, requestHeaders } from "../../../src/http2/request-headers.ts";

type Field = readonly [name: string, value: string];

const plain: readonly Field[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/?offset=0"],
  [":authority", "localhost"],
];
const without = (name: string): Field[] => plain.filter(([field]) => field !== name);
/** The request with this field first instead of its own of that name, or behind all others. */
const withFirst = (name: string, value: string): Field[] => [[name, value], ...without(name)];
const withLast = (name: string, value: string): Field[] => [...plain, [name, value]];

test("a request that breaks a rule of RFC 9113 section 8 is malformed", () => {
  const malformed: Readonly<Record<string, readonly Field[]>> = {
    "CONNECT with a path": withFirst(":method", "CONNECT"),
    "CONNECT without an authority": [[":method", "CONNECT"]],
    "no method": without(":method"),
    "no scheme": without(":scheme"),
    "no path": without(":path"),
    "an empty path": withFirst(":path", ""),
    "a path that does not begin with a slash": withFirst(":path", "x"),
    "a path with a space": withFirst(":path", "/a b"),
    "a path with a line end": withFirst(":path", "/a\nb"),
    "an asterisk for GET": withFirst(":path", "*"),
    "a method that is not a token": withFirst(":method", "G T"),
    "an empty method": withFirst(":method", ""),
    "a scheme that is not one": withFirst(":scheme", "/"),
    "user information in the authority": withFirst(":authority", "me@localhost"),
    "a path in the authority": withFirst(":authority", "localhost/x"),
    "a host that differs from the authority": withLast("host", "elsewhere"),
    "two hosts": [...without(":authority"), ["host", "a"], ["host", "b"]],
    "a name in upper case": withLast("X-Upper", "1"),
    "an empty name": withLast("", "1"),
    "a name with a colon": withLast("a:b", "1"),
    "a value that begins with a space": withLast("x", " 1"),
    "a value that ends with a tab": withLast("x", "1\t"),
    "a value with a line end": withLast("x", "a\r\nb"),
    "a value with a zero": withLast("x", "a\0b"),
    connection: withLast("connection", "close"),
    "keep-alive": withLast("keep-alive", "1"),
    "proxy-connection": withLast("proxy-connection", "close"),
    "transfer-encoding": withLast("transfer-encoding", "chunked"),
    upgrade: withLast("upgrade", "h2c"),
    "te other than trailers": withLast("te", "gzip"),
    "a length that is not a number": withLast("content-length", "five"),
    "a negative length": withLast("content-length", "-1"),
    "two lengths": [...withLast("content-length", "1"), ["content-length", "2"]],
    "a pseudo-header field behind another field": [["x", "1"], ...plain],
    "a pseudo-header field twice": withLast(":path", "/"),
    "a pseudo-header field of a response": [[":status", "200"], ...plain],
    "an unknown pseudo-header field": [[":protocol", "websocket"], ...plain],
  };
  for (const [name, fields] of Object.entries(malformed))
    assert.equal(requestHeaders(fields), undefined, name);
});

test("a request within the rules is valid", () => {
  for (const fields of [
    plain,
    without(":authority"),
    [...without(":authority"), ["host", "localhost"]],
    withLast("host", "LOCALHOST"),
    withLast("te", "trailers"),
    withLast("http2-settings", "AAMAAABk"),
    withLast("x", ""),
    withLast("x", "ü"),
    withFirst(":path", "/\xc3\xbc"),
    [...withLast("content-length", "1"), ["content-length", "1"]],
    [
      [":method", "CONNECT"],
      [":authority", "localhost:80"],
    ],
    [
      [":method", "OPTIONS"],
      [":scheme", "https"],
      [":path", "*"],
    ],
  ] satisfies (readonly Field[])[]) {
    assert.ok(requestHeaders(fields), String(fields));
  }
});

test("trailers contain neither pseudo-header fields nor connection-specific fields", () => {
  assert.equal(areTrailers([["checksum", "1"]]), true);
  for (const field of [":path", "Upper", "connection", "transfer-encoding"])
    assert.equal(areTrailers([[field, "1"]]), false, field);
});

test("two fields Authorization are one value, which is no credential, and not the first of them", () => {
  const two: readonly Field[] = [...plain, ["authorization", "Bearer a"], ["authorization", "Bearer b"]];
  assert.equal(requestHeaders(two)?.["authorization"], "Bearer a, Bearer b");
});
