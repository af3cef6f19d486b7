/**
 * npm run -s transcript -- [--rewrite] PATH…
 *
 * Runs transcript files, or all `.txt` files below folders. Prints a diff for each command that differs. The last line is
 * `N files, M commands, K differ`. The exit code is 1 if K > 0. With --rewrite, files that differ are rewritten to the
 * actual output, and K counts the rewritten commands.
 */
import { globSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { diff, run } from "./runner.ts";

function main(args: readonly string[]): number {
  const unknown = args.find((word) => word.startsWith("-") && word !== "--rewrite");
  const paths = args.filter((word) => !word.startsWith("-"));
  if (unknown !== undefined || paths.length === 0) {
    console.error(
      `${unknown === undefined ? "no path" : `unknown option ${unknown}`}\nUsage: npm run -s transcript -- [--rewrite] PATH…\nExample: npm run -s transcript -- test/transcript/scenes`,
    );
    return 2;
  }
  const files = paths.flatMap((path) =>
    statSync(path).isDirectory()
      ? globSync("**/*.txt", { cwd: path })
          .sort()
          .map((name) => join(path, name))
      : [path],
  );
  let [commands, differ] = [0, 0];
  for (const file of files) {
    const text = readFileSync(file, "utf8");
    const result = run(text);
    commands += result.commands;
    differ += result.differences.length;
    for (const { command, actual } of result.differences) {
      console.log(`${file}:${command.line}: ${command.name}\n${diff(command.expected, actual)}\n`);
    }
    if (args.includes("--rewrite") && result.differences.length > 0) writeFileSync(file, result.rewritten);
  }
  console.log(`${files.length} files, ${commands} commands, ${differ} differ`);
  return differ > 0 ? 1 : 0;
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (thrown) {
  console.error(thrown instanceof Error ? thrown.message : thrown);
  process.exitCode = 2;
}
