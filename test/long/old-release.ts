/**
 * An older release of Tailrace for tests of upgrades: a directory of its sources with node_modules, or a revision of this
 * repository, which is unpacked into a directory. A clone without that revision, such as a shallow one, has no old release.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { root } from "../support/process/process.ts";

/** The last revision without named logs. */
const beforeNamedLogs = "0c911f18372ebd79576362ceb29626f682e39410";
/** The last revision without cursors. It has named logs. */
export const beforeCursors = "4f25606a17e832f0cd3a1f016e2d1340718a4f51";

export interface OldRelease {
  readonly directory: string;
  /** Its command, for startCommand(). */
  readonly bin: string;
  /** The directory or the revision, for messages. */
  readonly named: string;
}

/**
 * Returns the release that is named, a directory or a git revision; by default that of TAILRACE_OLD_RELEASE, or the last one
 * without named logs. It is unpacked into `directory`. Returns why there is none as a text.
 */
export function oldRelease(
  directory: string,
  named = process.env["TAILRACE_OLD_RELEASE"] ?? beforeNamedLogs,
): OldRelease | string {
  if (existsSync(join(named, "src/cli/bin.cjs"))) return releaseIn(resolve(named), named);
  const git = (...args: readonly string[]) => spawnSync("git", ["-C", root, ...args], { maxBuffer: 1 << 28 });
  const { status, stdout } = git("archive", named, "--", "src", "proto", "package.json", "tsconfig.json");
  if (status !== 0) return `this clone does not have the revision ${named}; fetch the whole history`;
  mkdirSync(directory, { recursive: true });
  execFileSync("tar", ["-x", "-C", directory], { input: stdout });
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  return releaseIn(directory, named);
}

const releaseIn = (directory: string, named: string): OldRelease => ({
  directory,
  bin: join(directory, "src/cli/bin.cjs"),
  named,
});
