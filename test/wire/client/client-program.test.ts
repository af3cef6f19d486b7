/** The first program of the handbook runs from the sources as in another package, and does what the page says. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ended, root, startNode } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";

test("the first program of docs/clients.md appends a record, reads it and ends by itself", async (t) => {
  const [, program = ""] =
    /^```ts sample.mts\n([\s\S]*?)^```$/m.exec(readFileSync(join(root, "docs/clients.md"), "utf8")) ?? [];
  assert.match(program, /from "tailrace\/client"/);
  const node = await startNode(t, ["--data-dir", join(scratch(t), "d"), "--log-level", "error"]);
  const code = program.replace("localhost:8080", node.addr);
  // The name of the package means its compiled files, unless the condition "source" is set.
  const flags = ["--conditions=source", "--input-type=module-typescript"];
  const child = spawn(process.execPath, [...flags, "-e", code], { cwd: root });
  const { status, out, err } = await ended(child);
  assert.equal(err, "");
  assert.equal(out, "0 from a program\n");
  assert.equal(status, 0);
});
