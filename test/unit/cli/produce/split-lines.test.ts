/** Splitting of standard input into lines. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LineSplitter } from "../../../../src/cli/produce/split-lines.ts";

function cut(pieces: readonly string[]): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter(10);
  const keep = (line: Uint8Array | undefined): boolean =>
    line !== undefined && lines.push(Buffer.from(line).toString()) > 0;
  for (const piece of pieces) {
    splitter.push(Buffer.from(piece));
    while (keep(splitter.next()));
  }
  keep(splitter.last());
  return lines;
}

test("lines are split at line ends, however the chunks are split", () => {
  assert.deepEqual(cut(["a\nb", "c\n", "\n", "d"]), ["a", "bc", "", "d"]);
  assert.deepEqual(cut(["", "\n"]), [""]);
  assert.deepEqual(cut([]), []);
  assert.deepEqual(cut(["a\r\n"]), ["a\r"]);
  assert.deepEqual(cut(["1234567890"]), ["1234567890"]);
  const text = "one\n\ntwo\nthree\n";
  assert.deepEqual(cut([...text]), ["one", "", "two", "three"]);
});

test("a line beyond the limit is refused before its end arrives", () => {
  assert.throws(() => cut(["12345", "678901"]), { kind: "too-large" });
  assert.throws(() => cut(["12345", "678901\n"]), { kind: "too-large" });
});
