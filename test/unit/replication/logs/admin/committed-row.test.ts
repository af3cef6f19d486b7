import assert from "node:assert/strict";
import { test } from "node:test";
import { committedRow } from "../../../../../src/replication/logs/admin/committed-row.ts";

test("a change whose log is deleted before the answer is not said to be unwritten", () => {
  const table = { row: () => undefined };
  assert.throws(() => committedRow(table, 5 as never, "orders"), {
    kind: "not-found",
    written: "unknown",
    message: /"orders" was written, and then the log was deleted/,
  });
});
