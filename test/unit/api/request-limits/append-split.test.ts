import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, fromJsonString, toBinary, toJson } from "@bufbuild/protobuf";
import fc from "fast-check";
import { splitBinary, splitJson } from "../../../../src/api/request-limits/append-split.ts";
import { ProduceBatchRequestSchema } from "../../../../src/gen/log/v1/log_pb.js";
import { defaultRecordLimits, encodeRun, walkRecords } from "../../../../src/log/mod.ts";

const turn = async (): Promise<void> => undefined;
const limits = { ...defaultRecordLimits, headersMax: 1024 };
const bytes = fc.uint8Array({ maxLength: 20 });
const request = fc.record(
  {
    records: fc.array(
      fc.record(
        {
          value: bytes,
          key: bytes,
          headers: fc.array(fc.record({ key: fc.string(), value: bytes }), { maxLength: 3 }),
          offset: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
          term: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        },
        { requiredKeys: [] },
      ),
      { minLength: 1, maxLength: 30 },
    ),
    producer: fc.record({ id: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), epoch: fc.nat() }),
    expectedOffset: fc.bigInt({ min: 0n, max: 2n ** 53n }),
  },
  { requiredKeys: ["records"] },
);

const whole = (message: ReturnType<typeof fromBinary<typeof ProduceBatchRequestSchema>>) =>
  walkRecords(encodeRun(message.records).bytes, limits);

test("splitting a JSON batch returns the records that protobuf-es reads, and the rest of the message", async () => {
  await fc.assert(
    fc.asyncProperty(request, fc.constantFrom(undefined, 2), async (init, indent) => {
      const message = create(ProduceBatchRequestSchema, init);
      const text = JSON.stringify(toJson(ProduceBatchRequestSchema, message), undefined, indent);
      const split = await splitJson(Buffer.from(text), limits, turn);
      assert(split !== undefined);
      const expected = whole(message);
      assert.equal(split.run.count, expected.count);
      assert.deepEqual(Buffer.from(split.run.bytes), Buffer.from(expected.bytes));
      const rest = fromJsonString(ProduceBatchRequestSchema, Buffer.from(split.rest).toString());
      assert.deepEqual(rest, { ...message, records: [] });
    }),
  );
});

test("splitting a binary batch returns the records that protobuf-es reads, and the rest of the message", () => {
  fc.assert(
    fc.property(request, fc.boolean(), (init, twice) => {
      const message = create(ProduceBatchRequestSchema, init);
      const once = toBinary(ProduceBatchRequestSchema, message);
      const encoded = twice ? Buffer.concat([once, Buffer.from("3001", "hex"), once]) : once;
      const read = fromBinary(ProduceBatchRequestSchema, encoded);
      const split = splitBinary(encoded, limits);
      assert(split !== undefined);
      const expected = whole(read);
      assert.equal(split.run.count, expected.count);
      assert.deepEqual(Buffer.from(split.run.bytes), Buffer.from(expected.bytes));
      assert.deepEqual(fromBinary(ProduceBatchRequestSchema, split.rest), { ...read, records: [] });
    }),
  );
});

test("no list of records stays in the rest of a JSON object; a repeated key stays for Connect to refuse", async () => {
  const text = '{"records":[{"value":"AQ=="},{}],"x":1,"records":[{"value":"Ag=="}],"expectedOffset":"7"}';
  const split = await splitJson(Buffer.from(text), limits, turn);
  assert.equal(split?.run.count, 1);
  assert.equal(
    Buffer.from(split?.rest ?? []).toString(),
    '{"records":[],"x":1,"records":[],"expectedOffset":"7"}',
  );
});

test("a message without a list of records is left to Connect", async () => {
  for (const text of [
    "",
    "{",
    "[]",
    '{"records":[',
    '{"records":null}',
    '{"records":[]}',
    '{"records":{}}',
  ]) {
    assert.equal(await splitJson(Buffer.from(text), limits, turn), undefined, text);
  }
  for (const hex of ["0801", "8a000 0".replace(" ", ""), "0b0c", "187f80"]) {
    assert.equal(splitBinary(Buffer.from(hex, "hex"), limits), undefined, hex);
  }
});

test("a bad record is refused with its position in the request; too many records are refused early", async () => {
  const records = (count: number, last: string) => `{"records":[${"{},".repeat(count)}${last}]}`;
  const json = (text: string) => splitJson(Buffer.from(text), limits, turn);
  await assert.rejects(json(records(1000, '{"value":5}')), /log\.v1\.Record\.value/);
  await assert.rejects(json(records(1000, '{"value":"","value":""}')), /duplicate object key "value"/);
  const headers = Array(1025).fill("{}").join();
  await assert.rejects(
    json(records(1000, `{"headers":[${headers}]}`)),
    /record 1000 has more than 1024 headers/,
  );
  await assert.rejects(json(records(2_000_000, "{}")), /more than 65536 records in one request/);
  const many = Buffer.alloc(4_000_000, Buffer.from("0a00", "hex"));
  assert.throws(() => splitBinary(many, limits), /more than 65536 records in one request/);
});
