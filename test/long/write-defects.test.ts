/** Each injected defect of writes: the test that its patch names fails with it and passes without. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "../support/process/process.ts";
import { defectsIn, tryTests } from "./book-defects.ts";

const defects = defectsIn("test/defects/writes");
const page = readFileSync(join(root, "test/DEFECTS.md"), "utf8");

test("every patch of a defect of writes is listed in test/DEFECTS.md", () => {
  assert.ok(defects.length > 0);
  for (const { name } of defects) assert.ok(page.includes(`(defects/writes/${name}.patch)`), name);
});

for (const { name, patch, file, test: named, about } of defects) {
  test(`${name}: found (${about})`, async (t) => {
    const asItIs = (await tryTests(file, [named])).get(named)!;
    assert.equal(asItIs.result, "passed", asItIs.text);
    const { result, text } = (await tryTests(file, [named], patch)).get(named)!;
    t.diagnostic(text.slice(0, 200));
    assert.equal(result, "failed", text);
  });
}
