/** The lines of `produce`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { offsetLines } from "../../../../src/cli/output/offset-lines.ts";

test("each offset is a line of JSON", () => {
  assert.equal(offsetLines(8, 3), '{"offset":8}\n{"offset":9}\n{"offset":10}\n');
  assert.equal(offsetLines(2 ** 53 - 2, 1), '{"offset":9007199254740990}\n');
  assert.equal(offsetLines(0, 0), "");
});
