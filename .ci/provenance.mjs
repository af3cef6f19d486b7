/**
 * Writes where a package comes from: an in-toto statement with SLSA provenance 1.0. It names the package by its checksums,
 * the commit, the lockfile and the program that built it. It is not signed. If CI publishes with an identity, npm adds its
 * own signed statement (release.mjs).
 *
 *   node .ci/provenance.mjs PACKAGE.tgz TAG FILE
 *
 * SOURCE_URI names the repository, BUILDER_ID the machine that builds. Default: what a CI server states, or nothing.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const [tarball, tag, file] = process.argv.slice(2);
if (file === undefined) throw new Error("usage: node .ci/provenance.mjs PACKAGE.tgz TAG FILE");

const { env } = process;
const hash = (name, bytes) => createHash(name).update(bytes).digest("hex");
const git = (...args) => execFileSync("git", args, { cwd: root }).toString().trim();
const npm = (...args) => execFileSync("npm", args, { cwd: root }).toString().trim();
const { name, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const bytes = readFileSync(tarball);
const commit = git("rev-parse", "HEAD");
const server = env.GITHUB_SERVER_URL ?? env.CI_SERVER_URL;
const repository = env.GITHUB_REPOSITORY ?? env.CI_PROJECT_PATH;
const hosted = server === undefined || repository === undefined ? undefined : `${server}/${repository}`;
const source = env.SOURCE_URI ?? hosted;
const job =
  env.CI_JOB_URL ?? (hosted === undefined ? undefined : `${hosted}/actions/runs/${env.GITHUB_RUN_ID}`);

const statement = {
  _type: "https://in-toto.io/Statement/v1",
  subject: [
    {
      name: `pkg:npm/${name}@${version}`,
      digest: { sha256: hash("sha256", bytes), sha512: hash("sha512", bytes) },
      annotations: { file: basename(tarball) },
    },
  ],
  predicateType: "https://slsa.dev/provenance/v1",
  predicate: {
    buildDefinition: {
      buildType: "urn:tailrace:npm-pack:1",
      externalParameters: { tag, command: "npm ci && npm pack" },
      internalParameters: { node: process.version, npm: npm("--version") },
      resolvedDependencies: [
        {
          name: "source",
          ...(source === undefined ? {} : { uri: `git+${source}@refs/tags/${tag}` }),
          digest: { gitCommit: commit },
        },
        {
          name: "package-lock.json",
          digest: { sha256: hash("sha256", readFileSync(join(root, "package-lock.json"))) },
        },
      ],
    },
    runDetails: {
      builder: { id: env.BUILDER_ID ?? job ?? "urn:tailrace:unnamed-builder" },
      metadata: { startedOn: new Date(git("log", "-1", "--format=%cI")).toISOString() },
    },
  },
};
writeFileSync(file, `${JSON.stringify(statement, null, 1)}\n`);
