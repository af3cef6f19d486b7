/** The formats of `consume` and `tail`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PrintBuffer } from "../../../../src/cli/output/print-buffer.ts";
import { printable } from "../../../../src/cli/output/terminal.ts";
import {
  type PrintedRecord,
  type RecordPrinter,
  recordPrinter,
} from "../../../../src/cli/records/record-format.ts";

const record = {
  offset: 7,
  timestampMs: 1234,
  key: Buffer.from("k"),
  value: Uint8Array.of(0xff, 0x0a, 0x41),
  headers: [{ key: "h", value: Buffer.from("v") }],
};
const printed = (printer: RecordPrinter, of: PrintedRecord): Buffer => {
  const out = new PrintBuffer();
  printer(of, out);
  return Buffer.from(out.take()!);
};
const print = (format: string): string => printed(recordPrinter(format), record).toString("latin1");

test("records are formatted as json, raw, hex or in a custom format", () => {
  assert.equal(
    print("json"),
    '{"offset":7,"timestamp_ms":1234,"key":"aw==","headers":[{"key":"h","value":"dg=="}],"value":"/wpB"}\n',
  );
  assert.equal(print("raw"), "\xff\nA\n");
  assert.equal(print("hex"), "ff0a41\n");
  assert.equal(print("%o|%t|%k|%v|%s|%%|x\\t\\\\\\n"), "7|1234|k|\xff\nA|3|%|x\t\\\n");
});

test("text has the offset, the key and the value, and what is not UTF-8 as base64", () => {
  const text = (value: Uint8Array, more: object = {}, safe = false): string =>
    printed(recordPrinter("text", safe), {
      ...{ offset: 7, timestampMs: 1, key: Buffer.of(), headers: [], value },
      ...more,
    }).toString();
  assert.equal(text(Buffer.from("ünd")), "7 ünd\n");
  assert.equal(text(Buffer.of()), "7 \n");
  assert.equal(text(Buffer.from("v"), { key: Buffer.from("k"), log: "orders/eu" }), "orders/eu 7 [k] v\n");
  assert.equal(text(Uint8Array.of(0xff, 0x0a, 0x41)), "7 (3 bytes) /wpB\n");
  assert.equal(text(Buffer.from("a\u001b[2Jb"), { log: "l\u202e" }, true), "l\\u{202e} 7 a\\u{1b}[2Jb\n");
});

test("an invalid format is rejected", () => {
  for (const bad of ["jsno", "%x", "%", "%o\\q"]) {
    assert.throws(() => recordPrinter(bad), { kind: "config" }, bad);
  }
});

test("raw values, %k and %v are escaped on a terminal and unchanged elsewhere", () => {
  const hostile = "a\u001b]0;title\u0007\u009b31m\u202eb\r\u0000";
  const value = Buffer.from(hostile);
  const record = { offset: 0, timestampMs: 0, key: value, value, headers: [] };
  for (const format of ["raw", "%v\\n", "%k\\n"]) {
    assert.equal(printed(recordPrinter(format), record).toString(), `${hostile}\n`);
    assert.equal(printed(recordPrinter(format, true), record).toString(), `${printable(hostile)}\n`);
  }
});
