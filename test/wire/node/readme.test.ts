/** Runs every command of the README in order against one node, and compares the output with the README. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { consoleSteps, outputPattern } from "../../support/handbook/console-blocks.ts";
import { ended, root, startNode } from "../../support/process/process.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { scratch } from "../../support/scratch.ts";

test("the commands of the README print the output that it shows", requireProgram("curl"), async (t) => {
  const [install, start, ...rest] = consoleSteps(readFileSync(join(root, "README.md"), "utf8"));
  assert.equal(install?.command, "npm ci");
  assert.equal(start?.command, "npm start");
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    scripts: { start: string };
  };
  assert.equal(manifest.scripts.start, "exec node src/cli/bin.cjs serve");
  const node = await startNode(t, ["--data-dir", join(scratch(t), "data")]);
  const printed = `${node.readyLine}\n${node.nextSteps}\n`.replaceAll(node.addr, "127.0.0.1:8080");
  assert.match(printed, outputPattern(start.expected));
  assert.ok(rest.length >= 8);
  const environment = {
    ...process.env,
    PATH: `${join(root, "node_modules/.bin")}${delimiter}${process.env["PATH"]}`,
    TAILRACE_ADDR: node.addr,
  };
  for (const { command, expected } of rest) {
    const here = command
      .replaceAll("localhost:8080", `localhost:${node.addr.split(":")[1]}`)
      .replaceAll("npx tailrace", "node src/cli/bin.cjs")
      .replaceAll("npx buf", "buf");
    const { out, err, status } = await ended(spawn("bash", ["-c", here], { cwd: root, env: environment }));
    assert.equal(status, 0, `${command}: ${err}`);
    assert.match(out, outputPattern(expected), command);
  }
});
