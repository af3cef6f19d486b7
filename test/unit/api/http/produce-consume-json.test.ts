import assert from "node:assert/strict";
import { test } from "node:test";
import {
  offsetOf,
  parseBody,
  parseOffset,
  recordOf,
  valueRecordOf,
} from "../../../../src/api/http/produce-consume-json.ts";
import { Fault } from "../../../../src/fault.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const refused = (work: () => unknown): string => {
  try {
    work();
  } catch (reason) {
    assert(reason instanceof Fault);
    assert.equal(reason.kind, "bad-request");
    assert.equal(reason.written, "no");
    return reason.message;
  }
  throw new Error("nothing was thrown");
};
const offset = (text: string) => offsetOf(parseBody(bytes(text)));
const record = (text: string) => recordOf(parseBody(bytes(text)));

test("value, key and headers of a record are read; a missing value is empty", () => {
  const found = record(
    '{"record":{"value":"AQID","key":"aw==","headers":[{"key":"a","value":"Yg=="},{"key":"c"}]}}',
  );
  assert.deepEqual([...(found.value ?? [])], [1, 2, 3]);
  assert.equal(Buffer.from(found.key ?? []).toString(), "k");
  assert.deepEqual(
    found.headers?.map(({ key, value }) => [key, Buffer.from(value).toString()]),
    [
      ["a", "b"],
      ["c", ""],
    ],
  );
  assert.equal(record('{"record":{}}').value?.length, 0);
  assert.equal(record('{"record":{"value":""}}').value?.length, 0);
  assert.equal(record('{"record":{"value":null}}').value?.length, 0);
});

test("a body with only a value is read without parsing, to the same record; any other body is parsed", () => {
  for (const value of ["", "AQID", "aw==", "a28=", "+/+/"]) {
    const body = `{"record":{"value":"${value}"}}`;
    assert.deepEqual(valueRecordOf(Buffer.from(body))?.value, record(body).value, value);
  }
  for (const body of [
    "",
    '{"record":{"value":""}',
    '{"record":{"value"}}',
    ' {"record":{"value":""}}',
    '{"record":{"value":"A"}}',
    '{"record":{"value":"","value":""}}',
    '{"record":{"value":"\\u0041\\u0041=="}}',
    '{"record":{"value":"","key":""}}',
    '{"record":{"value":"é"}}',
  ]) {
    assert.equal(valueRecordOf(Buffer.from(body)), undefined, body);
  }
});

test("unknown fields, and fields that the server sets, are ignored", () => {
  const found = record(
    '{"x":[1.5,{"y":2}],"record":{"value":"AA==","offset":"x","term":-1,"type":9,"z":{}}}',
  );
  assert.deepEqual([...(found.value ?? [])], [0]);
});

test("bad records are refused, each with its reason", () => {
  assert.match(
    refused(() => record("{}")),
    /^record is missing$/,
  );
  assert.match(
    refused(() => record('{"record":null}')),
    /^record is missing$/,
  );
  assert.match(
    refused(() => record('{"record":5}')),
    /must be an object/,
  );
  assert.match(
    refused(() => record('{"record":[]}')),
    /must be an object/,
  );
  assert.match(
    refused(() => record('{"record":{"value":5}}')),
    /must be a base64 string/,
  );
  // Unpadded and URL-safe base64 are refused too. Line ends inside are accepted.
  for (const bad of [
    "!",
    "AAA",
    "AA",
    "A===",
    "A=A=",
    "AA= ",
    "A A=",
    "+-AA",
    "_-A=",
    "AAAA====",
    "AA==\n=",
  ]) {
    assert.match(
      refused(() => record(JSON.stringify({ record: { value: bad } }))),
      /not valid base64/,
    );
    assert.equal(valueRecordOf(Buffer.from(`{"record":{"value":"${bad}"}}`)), undefined);
  }
  assert.equal(record('{"record":{"value":"AA\\r\\nA=\\n"}}').value?.length, 2);
  assert.match(
    refused(() => record('{"record":{"headers":{}}}')),
    /must be a list/,
  );
  assert.match(
    refused(() => record('{"record":{"headers":[{"key":"\\ud800"}]}}')),
    /must be text/,
  );
});

test("bodies that are not a JSON object are refused", () => {
  assert.match(
    refused(() => parseBody(bytes(""))),
    /empty/,
  );
  for (const bad of ["{", "{]", "nul", "{'a':1}", '{"a":01}', '{"a":1}x']) {
    assert.match(
      refused(() => parseBody(bytes(bad))),
      /not valid JSON/,
    );
  }
  assert.match(
    refused(() => parseBody(Buffer.from([0x22, 0xff, 0x22]))),
    /not valid JSON/,
  );
  for (const bad of ["[]", "1", '"x"', "null", "true"]) {
    assert.match(
      refused(() => parseBody(bytes(bad))),
      /must be a JSON object/,
    );
  }
  assert.match(
    refused(() => parseBody(bytes("[".repeat(1e6) + "]".repeat(1e6)))),
    /nested deeper than 100 levels/,
  );
});

test("a body of many values is refused by their number; a large record is not", () => {
  for (const many of [`[${Array(2e6).fill(1).join()}]`, `{"record":{},"x":[${Array(2e6).fill(1).join()}]}`]) {
    assert.throws(
      () => parseBody(bytes(many)),
      (reason) =>
        reason instanceof Fault && reason.kind === "too-large" && /JSON values/.test(reason.message),
    );
  }
  assert.equal(record(`{"x":1,"record":{"value":"${"AAAA".repeat(1e6)}"}}`).value?.length, 3e6);
  // A line end after each character is the most expensive base64.
  assert.equal(record(`{"record":{"value":"${"A\\n".repeat(1e6)}"}}`).value?.length, 750_000);
});

test("offsets are whole numbers of 53 bits, written as such", () => {
  assert.equal(offset('{"offset":0}'), 0);
  assert.equal(offset('{"offset":9007199254740991}'), Number.MAX_SAFE_INTEGER);
  for (const bad of [
    "-1",
    "1.5",
    "1.0",
    "1e2",
    "9007199254740992",
    "9007199254740993",
    "18446744073709551616",
  ]) {
    assert.match(
      refused(() => offset(`{"offset":${bad}}`)),
      /whole number/,
      bad,
    );
  }
  for (const bad of ['"1"', "null", "true", "{}", "[]"]) {
    assert.match(
      refused(() => offset(`{"offset":${bad}}`)),
      /whole number/,
      bad,
    );
  }
  assert.match(
    refused(() => offset("{}")),
    /missing/,
  );
  for (const bad of ["", "01", " 1", "+1", "0x1"])
    assert.match(
      refused(() => parseOffset(bad)),
      /whole number/,
    );
});

test("a repeated key is refused, at any depth and with any escapes", () => {
  assert.match(
    refused(() => offset('{"offset":0,"offset":1}')),
    /"offset" occurs twice/,
  );
  assert.match(
    refused(() => offset('{"offset":0,"\\u006fffset":1}')),
    /"offset" occurs twice/,
  );
  assert.match(
    refused(() => record('{"record":{"value":"","value":"AA=="}}')),
    /"value" occurs twice/,
  );
  assert.equal(offset('{"a":{"x":1},"b":{"x":1},"c":["x","x","x\\"","{\\"x\\":1,"],"x":"a","offset":4}'), 4);
});
