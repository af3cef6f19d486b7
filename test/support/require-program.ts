/**
 * For tests that need a program from outside. Where it is missing the test is skipped, saying so; where
 * TAILRACE_REQUIRE (a comma list of programs) names it, a missing one is a failure.
 *
 *   test("a serf agent joins", requireProgram("serf"), async () => { … });
 *
 * Never: installs anything.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Options for `test()`: nothing where the program is found on the PATH, else a reason to skip. */
export function requireProgram(name: string): { skip?: string } {
  if (findProgram(name) !== undefined) return {};
  const required = (process.env["TAILRACE_REQUIRE"] ?? "").split(",").map((word) => word.trim());
  if (required.includes(name)) {
    throw new Error(`${name} is not on the PATH, and TAILRACE_REQUIRE asks for it`);
  }
  return { skip: `${name} is not installed (TAILRACE_REQUIRE=${name} makes this a failure)` };
}

/** Where the program is, if it is on the PATH. */
function findProgram(name: string): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
