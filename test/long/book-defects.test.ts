/**
 * Each defect of the book's version, restored by a patch, and each injected bug of named logs: the test that the patch names fails
 * with the patch and passes without.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "../support/process/process.ts";
import { defectsIn, tryTests } from "./book-defects.ts";

const ofBook = defectsIn("test/defects");
const ofLogs = defectsIn("test/defects/logs");
const defects = [...ofBook, ...ofLogs];
const pageOf = (name: string): string => readFileSync(join(root, `test/${name}`), "utf8");

test("every patch of a defect is listed in test/DEFECTS.md or test/NAMED-LOGS.md", () => {
  assert.equal(ofBook.length, 15);
  const page = pageOf("DEFECTS.md");
  for (const { name } of ofBook) assert.ok(page.includes(`(defects/${name}.patch)`), name);
  const rules = pageOf("NAMED-LOGS.md");
  for (const { name } of ofLogs) assert.ok(rules.includes(`(defects/logs/${name}.patch)`), name);
});

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
