/**
 * Makes a release from a tag: the package, its list of components, its provenance, checksums, and the notes from
 * CHANGELOG.md, all in `release/`. It publishes only with --publish; otherwise npm checks the package without sending it.
 *
 *   npm run release -- v0.2.0
 *   npm run release -- v0.2.0 --publish
 *
 * It refuses a working tree with changes, a tag of another commit, a tag that is not the version of package.json, and a
 * version without a section in CHANGELOG.md.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { sectionOf } from "./changelog.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const out = join(root, "release");
const [tag, ...options] = process.argv.slice(2);
const run = (program, ...args) => execFileSync(program, args, { cwd: root, stdio: "inherit" });
const git = (...args) =>
  execFileSync("git", args, { cwd: root, stdio: ["ignore", "pipe", "ignore"] })
    .toString()
    .trim();

try {
  release();
} catch (reason) {
  console.error(`release: ${reason.message}`);
  process.exitCode = 1;
}

function release() {
  const { name, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  check(version);
  const notes = sectionOf(readFileSync(join(root, "CHANGELOG.md"), "utf8"), version);
  if (notes === undefined) throw new Error(`CHANGELOG.md has no section "## ${version} — DATE" with text`);

  rmSync(out, { recursive: true, force: true });
  mkdirSync(out);
  run("npm", "run", "build");
  run("npm", "run", "build:web");
  run("npm", "run", "build:docs");
  run("npm", "pack", "--ignore-scripts", "--pack-destination", out);
  const tarball = join(out, `${name}-${version}.tgz`);
  run(process.execPath, ".ci/sbom.mjs", join(out, `${name}-${version}.cdx.json`));
  run(process.execPath, ".ci/provenance.mjs", tarball, tag, join(out, `${name}-${version}.intoto.json`));
  writeFileSync(join(out, "NOTES.md"), `${notes}\n`);
  const sums = readdirSync(out)
    .sort()
    .map(
      (file) =>
        `${createHash("sha256")
          .update(readFileSync(join(out, file)))
          .digest("hex")}  ${file}\n`,
    );
  writeFileSync(join(out, "SHA256SUMS"), sums.join(""));

  run("npm", "publish", tarball, ...publishOptions(version));
  console.log(`release/ has ${name} ${version}:\n${sums.join("")}`);
}

function check(version) {
  if (tag === undefined || options.some((option) => option !== "--publish"))
    throw new Error("usage: npm run release -- TAG [--publish]");
  if (tag !== `v${version}`) throw new Error(`the tag of version ${version} is v${version}, not ${tag}`);
  if (git("status", "--porcelain") !== "")
    throw new Error("the working tree has changes that are not committed");
  let commit;
  try {
    commit = git("rev-parse", "--verify", `refs/tags/${tag}^{commit}`);
  } catch {
    throw new Error(`there is no tag ${tag}`);
  }
  if (commit !== git("rev-parse", "HEAD"))
    throw new Error(`the tag ${tag} is not the commit that is checked out`);
}

/** A version such as 0.2.0-rc.1 gets the tag "next", so that `npm install` does not select it. */
function publishOptions(version) {
  const { ACTIONS_ID_TOKEN_REQUEST_URL, SIGSTORE_ID_TOKEN } = process.env;
  const isIdentified = ACTIONS_ID_TOKEN_REQUEST_URL !== undefined || SIGSTORE_ID_TOKEN !== undefined;
  return [
    `--tag=${version.includes("-") ? "next" : "latest"}`,
    ...(options.includes("--publish") ? [] : ["--dry-run"]),
    ...(options.includes("--publish") && isIdentified ? ["--provenance", "--access=public"] : []),
  ];
}
