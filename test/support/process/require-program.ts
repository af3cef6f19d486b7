/**
 * For tests that need an external program. Without the program the test is skipped with a message. If TAILRACE_REQUIRE (a
 * list separated by commas) names the program, a missing one is a failure.
 *
 *   test("a serf agent joins", requireProgram("serf"), async () => { … });
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Options for `test()`: empty if the program is on the PATH, else a reason to skip. */
export function requireProgram(name: string): { skip?: string } {
  if (findProgram(name) !== undefined) return {};
  const required = (process.env["TAILRACE_REQUIRE"] ?? "").split(",").map((word) => word.trim());
  if (required.includes(name)) {
    throw new Error(`${name} is not on the PATH, and TAILRACE_REQUIRE asks for it`);
  }
  return { skip: `${name} is not installed (TAILRACE_REQUIRE=${name} makes this a failure)` };
}

/** The path of the program, if it is on the PATH. */
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
