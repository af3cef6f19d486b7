import assert from "node:assert/strict";
import { test } from "node:test";
import { consumeResponseLine, parseBase64, recordLine } from "../../../../src/api/http/record-json.ts";

const record = (value: string | Uint8Array, rest: object = {}) => ({
  value: Buffer.from(value),
  key: new Uint8Array(0),
  headers: [],
  offset: 3,
  timestampMs: 1500,
  ...rest,
});
const full = { key: Buffer.from("k"), headers: [{ key: "h", value: Buffer.from("v") }] };

test("a record is one line; key and headers are left out if they are empty", () => {
  assert.equal(recordLine(record("a")), '{"offset":3,"timestamp_ms":1500,"value":"YQ=="}');
  assert.equal(
    recordLine(record("a", full)),
    '{"offset":3,"timestamp_ms":1500,"key":"aw==","headers":[{"key":"h","value":"dg=="}],"value":"YQ=="}',
  );
});

test("a value is text or JSON if it is valid in that format, otherwise base64", () => {
  const member = (value: string | Uint8Array, format: "text" | "json") =>
    recordLine(record(value), format).slice('{"offset":3,"timestamp_ms":1500,'.length, -1);
  assert.equal(member('a"b', "text"), '"text":"a\\"b"');
  assert.equal(member(Uint8Array.of(0xff), "text"), '"value":"/w=="');
  assert.equal(member("no JSON", "json"), '"value":"bm8gSlNPTg=="');
});

test("JSON values keep their numbers and become one line", () => {
  const line = recordLine(record('{\n  "n": 12345678901234567890\n}\n'), "json");
  assert.match(line, /"json":\{ {3}"n": 12345678901234567890 \}/);
});

test("the response to GET / has more members only for a key or headers", () => {
  assert.equal(consumeResponseLine(record("a")), '{"record":{"value":"YQ==","offset":3}}\n');
  assert.deepEqual(JSON.parse(consumeResponseLine(record("a", full))), {
    record: {
      value: "YQ==",
      offset: 3,
      key: "aw==",
      headers: [{ key: "h", value: "dg==" }],
      timestamp_ms: 1500,
    },
  });
});

test("base64 is the standard alphabet with padding", () => {
  for (const bytes of ["", "a", "ab", "abc", "\u00ff"])
    assert.deepEqual(
      parseBase64(Buffer.from(bytes, "latin1").toString("base64")),
      Buffer.from(bytes, "latin1"),
    );
  for (const text of ["YQ", "YQ=", "YQ==YQ==", "Y-==", "Y_==", "Y Q=", "YQ=\n", "é===", "===="])
    assert.equal(parseBase64(text), undefined, text);
});
