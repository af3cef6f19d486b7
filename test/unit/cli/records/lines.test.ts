/** Splitting of standard input into lines. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { linesOf } from "../../../../src/cli/records/lines.ts";

test("lines are split at line ends, however the chunks are split", async () => {
  const cut = async (pieces: readonly string[]): Promise<string[]> => {
    const lines: string[] = [];
    const stream = (async function* () {
      for (const piece of pieces) yield Buffer.from(piece);
    })();
    for await (const line of linesOf(stream, 10)) lines.push(Buffer.from(line).toString());
    return lines;
  };
  assert.deepEqual(await cut(["a\nb", "c\n", "\n", "d"]), ["a", "bc", "", "d"]);
  assert.deepEqual(await cut(["", "\n"]), [""]);
  assert.deepEqual(await cut([]), []);
  assert.deepEqual(await cut(["a\r\n"]), ["a\r"]);
  await assert.rejects(cut(["12345", "678901"]), { kind: "too-large" });
});
