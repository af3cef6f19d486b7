import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { confirmed } from "../../../src/cli/confirm.ts";

async function answered(typed: string): Promise<{ readonly yes: boolean; readonly shown: string }> {
  const input = new PassThrough();
  const output = new PassThrough();
  const asking = confirmed("type it: ", "orders", { input, output });
  input.end(typed);
  const yes = await asking;
  return { yes, shown: String(output.read()) };
}

test("only the expected text confirms", async () => {
  assert.deepEqual(await answered("orders\n"), { yes: true, shown: "type it: " });
  for (const typed of ["order\n", "\n", "yes\n", "ORDERS\n", "x\norders\n", ""])
    assert.equal((await answered(typed)).yes, false, JSON.stringify(typed));
});
