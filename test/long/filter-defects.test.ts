/**
 * Each rule of filters has a test that finds it broken: the patches of test/defects/filters break one each, and name the test.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { defectsIn, tryTests } from "./book-defects.ts";

for (const { name, patch, file, test: named } of defectsIn("test/defects/filters")) {
  test(`a test finds the defect ${name}`, async () => {
    const { result, text } = (await tryTests(file, [named], patch)).get(named)!;
    assert.equal(result, "failed", text);
  });
}
