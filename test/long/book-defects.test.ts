/**
 * Each defect of the book's version, restored by a patch, and each injected bug of named logs: the test that the patch names fails
 * with the patch and passes without.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { defectsIn, tryTests } from "./book-defects.ts";

const defects = [...defectsIn("test/defects"), ...defectsIn("test/defects/logs")];

for (const [file, ofFile] of Map.groupBy(defects, (defect) => defect.file)) {
  test(`as the source is, what ${file} names after defects passes`, async () => {
    const outcomes = await tryTests(
      file,
      ofFile.map((defect) => defect.test),
    );
    for (const [name, { result, text }] of outcomes) assert.equal(result, "passed", `${name}: ${text}`);
  });

  for (const { name, patch, test: named, about } of ofFile) {
    test(`${named}: found when it is put back (${about})`, async (t) => {
      const { result, text } = (await tryTests(file, [named], patch)).get(named)!;
      t.diagnostic(`${name}: ${text.slice(0, 200)}`);
      assert.equal(result, "failed", text);
    });
  }
}
