/** Roots for images, made from the packages of the Debian that runs here. They stand for images that cannot be fetched. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  globSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { root as repository } from "../../support/process/process.ts";

/** The packages of distroless/cc. */
const basePackages = [
  ...["base-files", "netbase", "tzdata", "ca-certificates", "libc6", "libssl3"],
  ...["libgcc-s1", "libgomp1", "libstdc++6"],
];

const run = (program: string, args: readonly string[], cwd: string): string =>
  execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

const mirror = "http://deb.debian.org/debian";
const codename = (): string =>
  /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "stable";

/** Skips the test if the mirror of Debian is not reached; with TAILRACE_REQUIRE=debian-mirror it fails. */
export function lacksMirror(t: TestContext): boolean {
  // debootstrap uses wget too.
  const asked = ["--quiet", "--tries=1", "--timeout=15", "--output-document=/dev/null"];
  const { status } = spawnSync("wget", [...asked, `${mirror}/dists/${codename()}/InRelease`]);
  if (status === 0) return false;
  const required = (process.env["TAILRACE_REQUIRE"] ?? "").split(",").includes("debian-mirror");
  assert.ok(!required, `${mirror} is not reached, and TAILRACE_REQUIRE asks for it`);
  t.skip(`${mirror} is not reached: this is NOT tested (TAILRACE_REQUIRE=debian-mirror makes it a failure)`);
  return true;
}

/** A Debian with Node.js and npm, like the image `node`. */
export function makeBuildRoot(directory: string): string {
  const made = join(directory, "build-root");
  run("debootstrap", ["--variant=minbase", codename(), made, mirror], directory);
  copyFileSync(join(repository, "node_modules/.bin/node"), join(made, "usr/local/bin/node"));
  chmodSync(join(made, "usr/local/bin/node"), 0o755);
  // Node.js needs it to run npm. The image "node" has an older one that does not.
  const [atomic = ""] = globSync("/usr/lib/*-linux-gnu/libatomic.so.1");
  copyFileSync(atomic, join(made, atomic));
  const npm = dirname(dirname(realpathSync(run("sh", ["-c", "command -v npm"], directory).trim())));
  mkdirSync(join(made, "usr/local/lib/node_modules"), { recursive: true });
  cpSync(npm, join(made, "usr/local/lib/node_modules/npm"), { recursive: true });
  for (const name of ["npm", "npx"])
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(made, "usr/local/bin", name));
  return made;
}

/** The files of the packages of distroless/cc, unpacked. */
export function makeBase(directory: string): string {
  const made = join(directory, "base-root");
  const packages = join(directory, "packages");
  mkdirSync(packages);
  mkdirSync(made);
  run("apt-get", ["download", "--quiet=2", ...basePackages], packages);
  for (const file of globSync("*.deb", { cwd: packages }))
    run("dpkg-deb", ["--extract", file, made], packages);
  return made;
}
