/** Tables for people. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesText, table, timeText } from "../../../../src/cli/output/table.ts";

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

test("emoji and wide characters count two columns", () => {
  const names = ["a ☕", "b 🎉", "名前", "e\u0301e", "plain"];
  const rows = table(
    ["n", "x"],
    names.map((name) => [name, "|"]),
  ).split("\n");
  assert.deepEqual(rows.slice(1, -1), ["a ☕   |", "b 🎉   |", "名前   |", "e\u0301e     |", "plain  |"]);
});

test("control characters in a table are escaped", () => {
  assert.equal(table(["id"], [["a\u001b"]]), "id\na\\u{1b}\n");
});

test("sizes have binary units", () => {
  assert.deepEqual([0, 1023, 1536, 5 * 2 ** 30].map(bytesText), ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
});

test("every time that a log can hold is printed, those beyond the range of Date as numbers", () => {
  assert.equal(timeText(0), "-");
  assert.equal(timeText(1000), "1970-01-01T00:00:01.000Z");
  assert.equal(timeText(Number.MAX_SAFE_INTEGER), "9007199254740991 ms");
});
