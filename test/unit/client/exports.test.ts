import assert from "node:assert/strict";
import { test } from "node:test";

test("the package offers the client under its own name, for Node and for browsers", async () => {
  // Resolved at run time, as another package would: through the exports of package.json.
  const names = ["tailrace/client", "tailrace/client/browser"];
  for (const name of names) {
    const room = (await import(name)) as Record<string, unknown>;
    assert.equal(typeof room["openClient"], "function", name);
    assert.equal(typeof room["recordsOf"], "function", name);
  }
  await assert.rejects(import(`tailrace/${"src/client/caller.ts"}`), {
    code: "ERR_PACKAGE_PATH_NOT_EXPORTED",
  });
});
