/**
 * Access control from files: edits and replacements take effect, invalid files are logged and ignored.
 */
import assert from "node:assert/strict";
import { renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { namedIdentity } from "../../../src/access/mod.ts";
import { openAccess } from "../../../src/agent/access-files.ts";
import { Fault } from "../../../src/fault.ts";
import { type Logger, noLogger } from "../../../src/lib/telemetry.ts";
import { scratch } from "../../support/scratch.ts";

const root = namedIdentity("root");

function scene(test: { after(work: () => void): void }): { path: (name: string) => string } {
  const directory = scratch(test);
  return { path: (name) => join(directory, name) };
}

const reloaded = (access: { onReload(listener: () => void): () => void }): Promise<void> =>
  new Promise((resolve) => {
    const awake = setInterval(() => {}, 1_000); // A file watch does not keep the process alive.
    const stop = access.onReload(() => {
      clearInterval(awake);
      stop();
      resolve();
    });
  });

test("an edited and a replaced policy file take effect", { timeout: 300_000 }, async (t) => {
  const { path } = scene(t);
  writeFileSync(path("policy.csv"), "p, root, *, produce\n");
  using open = await openAccess({ policyFile: path("policy.csv") });
  assert.equal(open.access.check(root, "*", "produce"), true);

  const edited = reloaded(open.access);
  writeFileSync(path("policy.csv"), "p, root, *, consume\n");
  await edited;
  assert.equal(open.access.check(root, "*", "produce"), false);

  const replaced = reloaded(open.access);
  writeFileSync(path("policy.csv.tmp"), "p, root, *, trim\n");
  renameSync(path("policy.csv.tmp"), path("policy.csv"));
  await replaced;
  assert.deepEqual(open.access.allowedActions(root), ["trim"]);
});

test("a policy file behind a replaced symbolic link takes effect", { timeout: 300_000 }, async (t) => {
  const { path } = scene(t);
  writeFileSync(path("one.csv"), "p, root, *, produce\n");
  writeFileSync(path("two.csv"), "p, root, *, consume\n");
  symlinkSync("one.csv", path("policy.csv"));
  using open = await openAccess({ policyFile: path("policy.csv") });
  const swapped = reloaded(open.access);
  symlinkSync("two.csv", path("..new"));
  renameSync(path("..new"), path("policy.csv"));
  await swapped;
  assert.deepEqual(open.access.allowedActions(root), ["consume"]);
});

test("an invalid or missing file is logged and changes nothing", async (t) => {
  const { path } = scene(t);
  const errors: string[] = [];
  const log: Logger = { ...noLogger, error: (_facts, message) => errors.push(message) };
  writeFileSync(path("policy.csv"), "p, root, *, produce\n");
  using open = await openAccess({ policyFile: path("policy.csv") }, { log });
  writeFileSync(path("policy.csv"), "p, root\n");
  assert.equal(await open.reload(), false);
  rmSync(path("policy.csv"));
  assert.equal(await open.reload(), false);
  assert.equal(open.access.check(root, "*", "produce"), true);
  assert.ok(errors.length >= 2);
  assert.match(errors[0] ?? "", /stay in force/);
  writeFileSync(path("policy.csv"), "p, root, *, consume\n");
  await open.reload();
  assert.deepEqual(open.access.allowedActions(root), ["consume"]);
});

test("missing files, and a model without a policy, are refused", async (t) => {
  const { path } = scene(t);
  const config = (pattern: RegExp) => (thrown: unknown) =>
    thrown instanceof Fault && thrown.kind === "config" && pattern.test(thrown.message);
  await assert.rejects(
    openAccess({ policyFile: path("none.csv") }),
    config(/--acl-policy-file .+ cannot be read: no such file or directory/),
  );
  await assert.rejects(openAccess({ modelFile: path("m.conf") }), config(/needs --acl-policy-file/));
});
