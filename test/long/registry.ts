/** For tests that install packages: npm as a user has it, and whether it reaches a registry. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { delimiter } from "node:path";
import type { TestContext } from "node:test";
import { type Ended, ended, environment } from "../support/process/process.ts";

/** The environment of a user's shell: without the programs and settings of the repository. */
export const usersEnvironment = (): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(
    Object.entries(environment()).filter(([name]) => !/^(npm_|OTEL_|INIT_CWD|NODE_COMPILE)/.test(name)),
  ),
  PATH: (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter((folder) => !folder.includes("node_modules"))
    .join(delimiter),
});

/** Collects the output of a process, which is killed after `limitMs`. */
export async function within(child: ChildProcess, limitMs: number): Promise<Ended> {
  const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
  try {
    return await ended(child);
  } finally {
    clearTimeout(timer);
  }
}

/** Skips the test if npm reaches no registry; with TAILRACE_REQUIRE=npm-registry it fails. */
export async function lacksRegistry(t: TestContext, folder: string): Promise<boolean> {
  const asked = ["ping", "--fetch-retries=0", "--fetch-timeout=15000"];
  const { status } = await within(spawn("npm", asked, { cwd: folder, env: usersEnvironment() }), 30_000);
  if (status === 0) return false;
  const required = (process.env["TAILRACE_REQUIRE"] ?? "").split(",").includes("npm-registry");
  assert.ok(!required, "npm reaches no registry, and TAILRACE_REQUIRE asks for it");
  t.skip("npm reaches no registry: this is NOT tested (TAILRACE_REQUIRE=npm-registry makes it a failure)");
  return true;
}
