/** The steps of a path: links, relative and absolute, parents, circles, and what does not exist. */
import assert from "node:assert/strict";
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { type TestContext, test } from "node:test";
import { pathSteps } from "../../../../src/lib/file-watch/path-steps.ts";
import { scratch } from "../../../support/scratch.ts";

function scene(t: TestContext) {
  const root = realpathSync(scratch(t));
  const path = (name: string): string => join(root, name);
  /** The steps below the scene, as `directory:name`. */
  const steps = (name: string): string[] =>
    pathSteps(path(name))
      .filter(({ directory }) => directory.startsWith(root))
      .map((step) => `${relative(root, step.directory)}:${step.name}`);
  return { path, steps };
}

test("a path without links is looked up name by name", (t) => {
  const { path, steps } = scene(t);
  mkdirSync(path("a/b"), { recursive: true });
  writeFileSync(path("a/b/c"), "");
  assert.deepEqual(steps("a/b/c"), [":a", "a:b", "a/b:c"]);
});

test("links are followed, with the steps of their targets", (t) => {
  const { path, steps } = scene(t);
  mkdirSync(path("v2"));
  writeFileSync(path("v2/file"), "");
  symlinkSync("v2", path("cur"));
  symlinkSync(path("cur"), path("absolute"));
  mkdirSync(path("deep"));
  symlinkSync("../cur/file", path("deep/link"));
  assert.deepEqual(steps("cur/file"), [":cur", ":v2", "v2:file"]);
  assert.deepEqual(steps("absolute/file"), [":absolute", ":cur", ":v2", "v2:file"]);
  assert.deepEqual(steps("deep/link"), [":deep", "deep:link", ":cur", ":v2", "v2:file"]);
});

test("a missing name is the last step, and a cycle of links ends", (t) => {
  const { path, steps } = scene(t);
  symlinkSync("two", path("one"));
  symlinkSync("one", path("two"));
  assert.deepEqual(steps("none/file"), [":none"]);
  assert.deepEqual([...new Set(steps("one/file"))], [":one", ":two"]);
});
