import assert from "node:assert/strict";
import { test } from "node:test";
import { csvRow, jsonLine } from "../../../web/src/core/export.ts";
import type { RecordView } from "../../../web/src/core/wire.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const record = (parts: Partial<RecordView>): RecordView => ({
  ...{ offset: 7, term: 1, timestampMs: 1_500, key: bytes(""), headers: [], value: bytes("v") },
  ...parts,
});

test("a record is a line of JSON with text, or base64 where it is not UTF-8", () => {
  assert.equal(jsonLine(record({})), '{"offset":7,"timestamp_ms":1500,"text":"v"}\n');
  const whole = record({
    key: bytes("k"),
    headers: [{ key: "a", value: bytes("b") }],
    value: Uint8Array.of(255),
  });
  assert.deepEqual(JSON.parse(jsonLine(whole)), {
    ...{ offset: 7, timestamp_ms: 1500, key: "aw==", value: "/w==" },
    headers: [{ key: "a", value: "Yg==" }],
  });
});

test("a row of CSV quotes what RFC 4180 requires, and only that", () => {
  assert.equal(csvRow(record({})), "7,1970-01-01T00:00:01.500Z,,,text,v\r\n");
  assert.equal(
    csvRow(record({ value: bytes('a,"b"\n'), headers: [{ key: "h", value: bytes("1") }] })),
    '7,1970-01-01T00:00:01.500Z,,"[[""h"",""1""]]",text,"a,""b""\n"\r\n',
  );
  assert.match(csvRow(record({ timestampMs: 1e17 })), /^7,100000000000000000,/);
});
