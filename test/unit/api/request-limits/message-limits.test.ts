import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { checkFields, messageFieldsMax } from "../../../../src/api/request-limits/message-limits.ts";
import { Fault } from "../../../../src/fault.ts";
import {
  ProduceBatchRequestSchema,
  QueryRequestSchema,
  WhoAmIRequestSchema,
} from "../../../../src/gen/log/v1/log_pb.js";

const repeat = (hex: string, count: number): Buffer =>
  Buffer.alloc((hex.length / 2) * count, Buffer.from(hex, "hex"));

function refused(kind: string, work: () => unknown): string {
  try {
    work();
  } catch (reason) {
    assert(reason instanceof Fault);
    assert.equal(reason.kind, kind);
    assert.equal(reason.written, "no");
    return reason.message;
  }
  throw new Error("nothing was thrown");
}

test("a message of many fields is refused by their number, wherever they are", () => {
  const half = repeat("3200", 1_000_000);
  const length = Buffer.from([0x80, 0x89, 0x7a]); // 2,000,000
  const cases: [string, Parameters<typeof checkFields>[0], Buffer][] = [
    ["unknown fields", WhoAmIRequestSchema, repeat("0800", 2_000_000)],
    ["empty records", ProduceBatchRequestSchema, repeat("0a00", 2_000_000)],
    [
      "empty headers of one record",
      ProduceBatchRequestSchema,
      Buffer.concat([Buffer.from("0a", "hex"), length, half]),
    ],
    ["strings", QueryRequestSchema, repeat("2200", 2_000_000)],
    ["entries of a map", QueryRequestSchema, repeat("2a00", 2_000_000)],
    [
      "fields of one entry of a map",
      QueryRequestSchema,
      Buffer.concat([Buffer.from("2a", "hex"), length, repeat("0a00", 1_000_000)]),
    ],
    ["fields of an unknown group", WhoAmIRequestSchema, Buffer.concat([Buffer.from("0b", "hex"), half])],
  ];
  for (const [name, schema, message] of cases) {
    assert.match(
      refused("too-large", () => checkFields(schema, message)),
      new RegExp(`more than ${messageFieldsMax} fields`),
      name,
    );
  }
});

test("the depth of nested groups is limited", () => {
  assert.match(
    refused("bad-request", () => checkFields(WhoAmIRequestSchema, repeat("0b", 4_000_000))),
    /nested deeper than 32/,
  );
});

test("bytes that the decoder would read differently are refused", () => {
  const long = repeat("7800", 3000);
  for (const hex of [
    "0801", // a record as a varint
    "0a7f", // a length that passes the end
    "0a030a02", // the same
    "00", // field number 0
    "0c", // the end of no group
    "7f", // wire type 7
    "0b14", // the end of another group
  ]) {
    for (const message of [Buffer.concat([long, Buffer.from(hex, "hex")])]) {
      refused("bad-request", () => checkFields(ProduceBatchRequestSchema, message));
    }
  }
});

test("a large message of few fields, and a usual one of many, are accepted", () => {
  const records = Array.from({ length: 8000 }, () => ({
    value: new Uint8Array(100),
    key: new Uint8Array(8),
  }));
  checkFields(
    ProduceBatchRequestSchema,
    toBinary(ProduceBatchRequestSchema, create(ProduceBatchRequestSchema, { records })),
  );
  const one = create(ProduceBatchRequestSchema, { records: [{ value: new Uint8Array(4_000_000) }] });
  checkFields(ProduceBatchRequestSchema, toBinary(ProduceBatchRequestSchema, one));
  const query = create(QueryRequestSchema, {
    filterNodes: Array(2000).fill("node"),
    filterTags: Object.fromEntries(Array.from({ length: 2000 }, (_, at) => [`k${at}`, "v"])),
  });
  checkFields(QueryRequestSchema, toBinary(QueryRequestSchema, query));
});
