/** Escaping of untrusted text on a terminal. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { faultLine } from "../../../../src/cli/output/fault-line.ts";
import { table } from "../../../../src/cli/output/table.ts";
import { jsonLine, printable, printableBytes } from "../../../../src/cli/output/terminal.ts";
import { recordPrinter } from "../../../../src/cli/records/record-format.ts";
import { Fault } from "../../../../src/fault.ts";

const hostile = "a\u001b]0;title\u0007\u009b31m\u202eb\r\u0000";

test("control and invisible characters are escaped; line ends, tabs and letters stay", () => {
  assert.equal(printable("é 名\n\t"), "é 名\n\t");
  assert.equal(printable(hostile), "a\\u{1b}]0;title\\u{7}\\u{9b}31m\\u{202e}b\\u{d}\\u{0}");
  assert.equal(printableBytes(Uint8Array.of(0x61, 0xff, 0x1b)), "a\ufffd\\u{1b}");
});

test("escaped JSON has the same value", () => {
  const line = jsonLine({ name: hostile, emoji: "\u{e0001}" });
  assert.deepEqual(JSON.parse(line), { name: hostile, emoji: "\u{e0001}" });
  assert.equal(printable(line), line, "nothing is left that a terminal would obey");
});

test("raw values, %k and %v are escaped on a terminal and unchanged elsewhere", () => {
  const value = Buffer.from(hostile);
  const record = { offset: 0, timestampMs: 0, key: value, value, headers: [] };
  for (const format of ["raw", "%v\\n", "%k\\n"]) {
    assert.equal(Buffer.from(recordPrinter(format)(record)).toString(), `${hostile}\n`);
    assert.equal(Buffer.from(recordPrinter(format, true)(record)).toString(), `${printable(hostile)}\n`);
  }
});

test("tables and the line about a fault are escaped", () => {
  const isSafe = (text: string): boolean => printable(text) === text;
  assert.ok(isSafe(table(["id"], [[hostile]])));
  const fault = new Fault("unavailable", { message: hostile, facts: { node: hostile } });
  assert.ok(isSafe(faultLine("status", fault)));
});

test("the line about a fault says only for a write that its outcome is unknown", () => {
  const fault = new Fault("unknown", { message: "cut", written: "unknown" });
  assert.equal(
    faultLine("produce", fault, "write"),
    "tailrace produce: cut; it is not known whether it was written",
  );
  assert.equal(faultLine("consume", fault), "tailrace consume: cut");
});

test("the line about a failed stream of appends says how many were written, and no fact twice", () => {
  const cut = (before: number, written: "no" | "unknown"): string =>
    faultLine(
      "produce",
      new Fault("unavailable", { message: "no leader", facts: { records_before: before }, written }),
      "write",
    );
  assert.equal(cut(0, "no"), "tailrace produce: no leader; nothing was written");
  assert.equal(cut(7, "no"), "tailrace produce: no leader; 7 records were written before, and none after");
  assert.equal(cut(7, "unknown"), "tailrace produce: no leader; it is not known whether it was written");
  const removed = new Fault("failed-precondition", {
    message: "removed, its members are at a:1 b:1",
    facts: { members: "a:1 b:1", lowest: 1 },
  });
  assert.equal(faultLine("trim", removed), "tailrace trim: removed, its members are at a:1 b:1 (lowest 1)");
});
