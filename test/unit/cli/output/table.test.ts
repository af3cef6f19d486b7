/** Tables for people. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesText, table } from "../../../../src/cli/output/table.ts";

test("columns are as wide as necessary, and numbers are aligned to the right", () => {
  assert.equal(
    table(
      ["id", "n"],
      [
        ["a", 5],
        ["long", 10],
      ],
    ),
    "id     n\na      5\nlong  10\n",
  );
});

test("control characters in a table are escaped", () => {
  assert.equal(table(["id"], [["a\u001b"]]), "id\na\\u{1b}\n");
});

test("sizes have binary units", () => {
  assert.deepEqual([0, 1023, 1536, 5 * 2 ** 30].map(bytesText), ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
});
