import assert from "node:assert/strict";
import { test } from "node:test";
import { type DescMessage, fromBinary, fromJsonString, toBinary, toJsonString } from "@bufbuild/protobuf";
import fc from "fast-check";
import { rewriteAppend } from "../../../../../src/api/fast-path/codec/json-append.ts";
import { ProduceBatchRequestSchema, ProduceRequestSchema } from "../../../../../src/gen/log/v1/log_pb.js";

const one = (text: string): Uint8Array | undefined => rewriteAppend(Buffer.from(text), false, 100);
const batch = (text: string): Uint8Array | undefined => rewriteAppend(Buffer.from(text), true, 100);

/** The JSON as protobuf-es reads and writes it. */
const normal = (schema: DescMessage, text: string): string =>
  toJsonString(schema, fromJsonString(schema, text));

const base64 = fc
  .uint8Array({ maxLength: 40, size: "max" })
  .map((bytes) => Buffer.from(bytes).toString("base64"));
const record = fc.oneof(
  fc.record({ value: base64, key: base64 }, { requiredKeys: [] }),
  fc.record({ key: base64, value: base64 }),
);
const space = fc.constantFrom("", " ", "\n\t", "\r\n  ");

test("what is rewritten means what protobuf-es reads from the JSON", () => {
  const request = fc.record({ records: fc.array(record, { minLength: 1, maxLength: 5 }), white: space });
  let rewritten = 0;
  fc.assert(
    fc.property(request, ({ records, white }) => {
      const text = JSON.stringify({ records, log: "orders/1" }).replaceAll(
        /[{}[\],:]/g,
        `${white}$&${white}`,
      );
      const message = batch(text);
      if (message === undefined) return;
      rewritten++;
      const schema = ProduceBatchRequestSchema;
      assert.equal(toJsonString(schema, fromBinary(schema, message)), normal(schema, text));
    }),
  );
  assert.ok(rewritten > 10, `${rewritten}`);
});

test("a text that is cut or changed anywhere is left to protobuf-es, or means the same there", () => {
  const text = '{"record":{"value":"QUJDRA==","key":"QQ=="},"log":"a"}';
  for (let at = 0; at < text.length; at++) {
    assert.equal(one(text.slice(0, at)), undefined, text.slice(0, at));
    for (const put of ["", '"', "\\", "{", "}", ",", "=", "A", "\u0000", "\x7f", "é"]) {
      const changed = text.slice(0, at) + put + text.slice(at + 1);
      const message = one(changed);
      if (message === undefined) continue;
      const read = fromBinary(ProduceRequestSchema, message);
      assert.equal(toJsonString(ProduceRequestSchema, read), normal(ProduceRequestSchema, changed), changed);
    }
  }
});

test("the bytes are those that protobuf-es writes, without empty fields", () => {
  const text = '{"record":{"value":"QUJD","key":"QQ=="}}';
  assert.deepEqual(
    Buffer.from(one(text)!),
    Buffer.from(toBinary(ProduceRequestSchema, fromJsonString(ProduceRequestSchema, text))),
  );
  assert.equal(Buffer.from(one('{"record":{"value":""}}')!).toString("hex"), "0a00");
});

test("no record, too many records and members of other names are unusual", () => {
  for (const text of [
    "{}",
    '{"records":[{}]}',
    '{"log":"a"}',
    '{"record":{"offset":"1"}}',
    '{"record":{}}x',
    "",
  ])
    assert.equal(one(text), undefined, text);
  for (const text of ['{"records":[]}', '{"record":{}}', `{"records":[${Array(101).fill("{}").join()}]}`])
    assert.equal(batch(text), undefined, text);
  assert.notEqual(batch(`{"records":[${Array(100).fill("{}").join()}]}`), undefined);
});
