import assert from "node:assert/strict";
import { test } from "node:test";
import { isAllowed, type Permissions } from "../../../web/src/core/permissions.ts";

const allowed = (action: string, logs: readonly string[], more = false, unknown = false) => ({
  ...{ action, logs, more, unknown },
});
const permissions: Permissions = {
  actions: ["consume"],
  logs: [
    allowed("cursor", ["orders/*", "billing"]),
    allowed("consume", ["*"]),
    allowed("trim", [], true),
    allowed("produce", [], false, true),
  ],
};

test("an action is allowed on the logs that its patterns cover, and on those that are not listed", () => {
  for (const log of ["orders/eu", "orders/", "billing"])
    assert.ok(isAllowed(permissions, "cursor", log), log);
  for (const log of ["orders", "billing/eu", "bill"]) assert.ok(!isAllowed(permissions, "cursor", log), log);
  assert.ok(isAllowed(permissions, "consume", "anything"));
  assert.ok(isAllowed(permissions, "trim", "a"));
  assert.ok(isAllowed(permissions, "produce", "a"));
  assert.ok(!isAllowed(permissions, "delete", "a"));
  assert.ok(isAllowed(permissions, "consume", ""));
  assert.ok(!isAllowed(permissions, "cursor", ""), "the log default has its own list");
});
