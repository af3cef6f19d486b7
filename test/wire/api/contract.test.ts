/**
 * The contract in proto/ and the code generated from it: it passes lint, it breaks no client of the committed image, and
 * the generated code is up to date. Works offline.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { scratch } from "../../support/scratch.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const buf = (...words: string[]): void => {
  const path = `${join(root, "node_modules/.bin")}:${process.env["PATH"]}`;
  const run = spawnSync(join(root, "node_modules/.bin/buf"), words, {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, PATH: path },
  });
  assert.equal(run.status, 0, `buf ${words.join(" ")}\n${run.stdout}${run.stderr}`);
};

test("the contract passes buf lint", () => buf("lint"));

test("the contract breaks no client of the committed image", () => {
  buf("breaking", "proto", "--against", "test/wire/log.v1.binpb");
});

test("the committed generated code is what buf generates from the contract", (t) => {
  const out = scratch(t);
  cpSync(join(root, "buf.gen.yaml"), join(out, "buf.gen.yaml"));
  buf("generate", "--template", join(out, "buf.gen.yaml"), "-o", out);
  const made = join(out, "src/gen");
  const committed = join(root, "src/gen");
  const names = globSync("**/*_pb.*", { cwd: made }).sort();
  assert.ok(names.length >= 10);
  assert.deepEqual(globSync("**/*_pb.*", { cwd: committed }).sort(), names);
  for (const name of names)
    assert.equal(readFileSync(join(committed, name), "utf8"), readFileSync(join(made, name), "utf8"), name);
});
