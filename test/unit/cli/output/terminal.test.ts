/** Escaping of untrusted text on a terminal. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonLine, printable, printableBytes } from "../../../../src/cli/output/terminal.ts";

const hostile = "a\u001b]0;title\u0007\u009b31m\u202eb\r\u0000";

test("control and invisible characters are escaped; line ends, tabs and letters stay", () => {
  assert.equal(printable("é 名\n\t"), "é 名\n\t");
  assert.equal(printable(hostile), "a\\u{1b}]0;title\\u{7}\\u{9b}31m\\u{202e}b\\u{d}\\u{0}");
  assert.equal(printableBytes(Uint8Array.of(0x61, 0xff, 0x1b)), "a\ufffd\\u{1b}");
});

test("escaped JSON has the same value", () => {
  const line = jsonLine({ name: hostile, emoji: "\u{e0001}" });
  assert.deepEqual(JSON.parse(line), { name: hostile, emoji: "\u{e0001}" });
  assert.equal(printable(line), line, "no control character is left");
});
