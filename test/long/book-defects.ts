/**
 * Restores the defects of test/DEFECTS.md, and injects those of test/NAMED-LOGS.md, one at a time. The first line of each patch
 * names the test that must fail.
 *
 *   test/defects/name.patch := "file of tests" " > " "name of the test" ": " description, then blocks of bug-loader
 *
 * A run that did not reach its test does not count as a failure of the test.
 */
import { spawn } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { ended, environment, root } from "../support/process/process.ts";

export interface BookDefect {
  readonly name: string;
  readonly patch: string;
  /** The file with the test, from the root, and how the test's name begins. */
  readonly file: string;
  readonly test: string;
  readonly about: string;
}

/** The defects of the book's version: "test/defects". Those of named logs: "test/defects/logs". */
export function defectsIn(folder: string): BookDefect[] {
  return globSync(`${folder}/*.patch`, { cwd: root })
    .sort()
    .map((patch) => {
      const [about = ""] = readFileSync(join(root, patch), "utf8").split("\n");
      const facts = /^(?<file>\S+) > (?<test>[^:]+): (?<about>.+)$/.exec(about)?.groups;
      if (facts === undefined) throw new Error(`${patch} does not say which test is to find it`);
      const { file = "", test = "", about: what = "" } = facts;
      return { name: basename(patch, ".patch"), patch, file, test, about: what };
    });
}

/** The most that one try may take. */
const triedMs = 300_000;

/** What became of a named test. */
export interface Outcome {
  readonly result: "passed" | "failed" | "did not run";
  /** What the test said when it failed, else all that was printed. */
  readonly text: string;
}

/** Runs these tests of one file; with a patch in the source, or as it is. Test → what became of it. */
export async function tryTests(
  file: string,
  tests: readonly string[],
  patch?: string,
): Promise<ReadonlyMap<string, Outcome>> {
  const words = [
    ...["--import", "./test/support/bug-loader.mjs", "--test-reporter=tap", "--test-timeout=120000"],
    // A test that was cut off leaves servers and connections behind.
    "--test-force-exit",
    ...[`--test-name-pattern=^(${tests.join("|")})(: |$)`, file],
  ];
  const env = { ...environment(), ...(patch === undefined ? {} : { SOURCE_BUG: patch }) };
  const child = spawn(process.execPath, words, { cwd: root, env });
  const kill = setTimeout(() => child.kill("SIGKILL"), triedMs);
  const { out, err } = await ended(child);
  clearTimeout(kill);
  return new Map(tests.map((name) => [name, outcomeIn(out, err, name)]));
}

function outcomeIn(out: string, err: string, name: string): Outcome {
  const found = new RegExp(`^(ok|not ok) \\d+ - ${name}(: |$)`, "m").exec(out);
  if (found === null) return { result: "did not run", text: out + err };
  if (found[1] === "ok") return { result: "passed", text: out };
  const [, said = out] = /^ *error: (?:\|-\n)?([\s\S]*?)\n *code:/m.exec(out.slice(found.index)) ?? [];
  return { result: "failed", text: said.replace(/\s+/g, " ").trim() };
}
