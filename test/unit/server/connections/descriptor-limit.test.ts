import assert from "node:assert/strict";
import { test } from "node:test";
import { limitIn } from "../../../../src/server/connections/descriptor-limit.ts";

test("the soft limit is read from the kernel's table", () => {
  const table = (soft: string): string =>
    `Limit                     Soft Limit           Hard Limit           Units     \nMax open files            ${soft.padEnd(20)} 1048576              files     \n`;
  assert.equal(limitIn(table("1024")), 1024);
  assert.equal(limitIn(table("unlimited")), undefined);
  assert.equal(limitIn(""), undefined);
});
