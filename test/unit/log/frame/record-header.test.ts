import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeRun, walkRecords, withHeader } from "../../../../src/log/mod.ts";

const part = fc.uint8Array({ maxLength: 200 });
const header = fc.record({ key: fc.string({ minLength: 1, maxLength: 20 }), value: part });
const record = fc.record(
  { value: part, key: part, headers: fc.array(header, { maxLength: 3 }) },
  { requiredKeys: [] },
);
const records = fc.array(record, { minLength: 1, maxLength: 6 });
const much = 1024 * 1024;

test("a run with an added header is the same as a run of records with that header, and passes the walk", () => {
  fc.assert(
    fc.property(records, fc.string({ maxLength: 200 }), (some, value) => {
      const bare = some.map((record) => ({
        ...record,
        headers: (record.headers ?? []).filter(({ key }) => key !== "trace"),
      }));
      const added = { key: "trace", value: Buffer.from(value) };
      const expected = encodeRun(bare.map((record) => ({ ...record, headers: [...record.headers, added] })));
      const run = withHeader(encodeRun(bare), "trace", value, much, much);
      // An empty value still has its tag here. Protobuf reads both encodings.
      if (value !== "") assert.deepEqual(Buffer.from(run.bytes), Buffer.from(expected.bytes));
      assert.equal(walkRecords(run.bytes, { recordBytesMax: much, recordsMax: 65_536 }).count, bare.length);
    }),
    { seed: 4 },
  );
});

test("a record that has the header keeps its value, and a record that would become too large does not get it", () => {
  const value = Buffer.alloc(100);
  const own = encodeRun([{ value, headers: [{ key: "trace", value: Buffer.from("mine") }] }]);
  assert.deepEqual(Buffer.from(withHeader(own, "trace", "yours", much, much).bytes), Buffer.from(own.bytes));
  const mixed = encodeRun([{ value }, { value: Buffer.alloc(10) }]);
  const limited = withHeader(mixed, "trace", "yours", 110, much);
  const added = { key: "trace", value: Buffer.from("yours") };
  const expected = encodeRun([{ value }, { value: Buffer.alloc(10), headers: [added] }]);
  assert.deepEqual(Buffer.from(limited.bytes), Buffer.from(expected.bytes));
});

test("a run that would become too large is not changed", () => {
  const run = encodeRun([{ value: Buffer.alloc(100) }]);
  assert.equal(withHeader(run, "trace", "yours", much, run.bytes.length + 5), run);
});
