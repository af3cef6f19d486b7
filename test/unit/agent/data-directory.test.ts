/**
 * Which directories a node takes for its own, and which it leaves as they are.
 */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openDataDirectory } from "../../../src/agent/data-directory.ts";
import { scratch } from "../../support/scratch.ts";

const openAndClose = async (path: string): Promise<void> => {
  await using opened = await openDataDirectory(path);
  assert.equal(opened.path, path);
};

test("files that are not a log's keep a node out, and nothing is made beside them", async (t) => {
  const home = scratch(t);
  writeFileSync(join(home, "letter.txt"), "dear");
  await assert.rejects(openAndClose(home), { kind: "foreign-directory" });
  assert.deepEqual(readdirSync(home), ["letter.txt"]);
  const file = join(home, "letter.txt");
  await assert.rejects(openAndClose(file), { kind: "config" });
});

test("the directories of other nodes, and of a cluster of tailrace dev, may lie in a node's own", async (t) => {
  const home = scratch(t);
  for (const other of ["a", "dev-8080/n1", "dev-8080/n2"]) await openAndClose(join(home, other));
  await openAndClose(home);
  await openAndClose(home);
  const strange = scratch(t);
  await openAndClose(join(strange, "a"));
  mkdirSync(join(strange, "photos"));
  await assert.rejects(openAndClose(strange), /holds files that are not a log's, such as photos/);
});
