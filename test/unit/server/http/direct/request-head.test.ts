import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestHeads } from "../../../../../src/server/http/direct/request-head.ts";

const usual =
  "POST /log.v1.Log/Produce HTTP/1.1\r\nHost: localhost:80\r\ncontent-length: 5\r\nX-a:b c\r\n\r\n";
const read = (text: string) => new RequestHeads().read(Buffer.from(text, "latin1"), 0);

test("a usual head is read, with its fields in lower case", () => {
  const head = read(`${usual}12345`);
  assert.ok(typeof head === "object");
  assert.deepEqual([head.bytes, head.contentLength], [usual.length, 5]);
  const expected = { host: "localhost:80", "content-length": "5", "x-a": "b c" };
  assert.deepEqual({ ...head.headers }, { ...expected, ":method": "POST", ":path": "/log.v1.Log/Produce" });
});

test("a head that is cut anywhere is incomplete", () => {
  for (let at = 0; at < usual.length; at++) assert.equal(read(usual.slice(0, at)), "incomplete", `${at}`);
});

test("a connection reads the same head again without parsing it, and parses a changed one", () => {
  const heads = new RequestHeads();
  const changed = usual.replace("X-a:b c", "X-a:b d");
  const bytes = Buffer.from(`${usual}12345${usual}12345${changed}12345${usual.slice(0, 40)}`);
  const step = usual.length + 5;
  const first = heads.read(bytes, 0);
  assert.equal(heads.read(bytes, step), first);
  const third = heads.read(bytes, 2 * step);
  assert.ok(typeof third === "object");
  assert.equal(third.headers["x-a"], "b d");
  assert.equal(heads.read(bytes, 3 * step), "incomplete");
});

test("every other form of a head is unusual", () => {
  const host = "host: h\r\n";
  const length = "content-length: 5\r\n";
  const post = (fields: string, line = "POST /a HTTP/1.1"): string => `${line}\r\n${fields}\r\n`;
  assert.ok(typeof read(post(host + length)) === "object");
  for (const text of [
    post(host + length, "GET /a HTTP/1.1"),
    post(host + length, "post /a HTTP/1.1"),
    post(host + length, "POST /a HTTP/1.0"),
    post(host + length, "POST /a HTTP/1.1 "),
    post(host + length, "POST  /a HTTP/1.1"),
    post(host + length, "POST /a?b=c HTTP/1.1"),
    post(host + length, "POST /a%2fb HTTP/1.1"),
    post(host + length, "POST http://h/a HTTP/1.1"),
    post(host + length, "POST * HTTP/1.1"),
    post(host + length, "POST /a"),
    post(length),
    post(host),
    post(host + host + length),
    post(host + length + length),
    post(`${host}content-length: 5, 5\r\n`),
    post(`${host}content-length: +5\r\n`),
    post(`${host}content-length: 05\r\n`),
    post(`${host}content-length: 5 5\r\n`),
    post(`${host}content-length: 0x5\r\n`),
    post(`${host}content-length: -1\r\n`),
    post(`${host}content-length: 9999999999999999\r\n`),
    post(`${host}transfer-encoding: chunked\r\n`),
    post(`${host}${length}transfer-encoding: chunked\r\n`),
    post(`${host}${length}Transfer-Encoding: identity\r\n`),
    post(`${host}${length}expect: 100-continue\r\n`),
    post(`${host}${length}connection: close\r\n`),
    post(`${host}${length}connection: keep-alive, upgrade\r\n`),
    post(`${host}${length}upgrade: h2c\r\n`),
    post(`${host}${length}trailer: x\r\n`),
    post(`${host}${length}x : y\r\n`),
    post(`${host}${length}x: y \r\n`),
    post(`${host}${length}x:  y\r\n`),
    post(`${host}${length}x:\ty\r\n`),
    post(`${host}${length}x:\r\n`),
    post(`${host}${length}x: y\r\n folded\r\n`),
    post(`${host}${length} x: y\r\n`),
    post(`${host}${length}x: y\nz: w\r\n`),
    post(`${host}${length}x: y\rz\r\n`),
    post(`${host}${length}x: \x00\r\n`),
    post(`${host}${length}x: \xe9\r\n`),
    post(`${host}${length}__proto__: x\r\n`),
    post(`${host}${length}nothing\r\n`),
    `\r\n${post(host + length)}`,
    post(`${host}${length}x: ${"y".repeat(17_000)}\r\n`),
    `POST /a HTTP/1.1\r\nx: ${"y".repeat(17_000)}`,
  ])
    assert.equal(read(text), "unusual", JSON.stringify(text.slice(0, 200)));
});

test("a head with many fields is read by Node's parser, which limits them", () => {
  const withFields = (count: number): string =>
    usual.replace("X-a:b c", Array.from({ length: count - 2 }, (_, at) => `f${at}: b`).join("\r\n"));
  assert.equal(typeof read(withFields(64)), "object");
  assert.equal(read(withFields(65)), "unusual");
});
