/**
 * The pods of the chart, as helm renders them, run as processes: their command, variables, volumes, user, DNS names, probes and
 * hooks. kubernetes/main.ts plays the scenes, in a network and mounts of its own, which need root.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { ended, environment, root } from "../support/process/process.ts";
import { requireProgram } from "../support/process/require-program.ts";
import { scratch } from "../support/scratch.ts";
import { requireNamespaces } from "./kubernetes/namespaces.ts";

const needed =
  [requireProgram("helm"), requireProgram("ip"), requireNamespaces()].find(({ skip }) => skip) ?? {};

const scenes = [
  ...["install", "helm test", "rolling update", "scale up", "scale down", "eviction", "lost volume"],
  ...["no majority", "power failure", "new certificate", "every node has every record"],
];

test("the pods of the chart keep every acknowledged record through all that happens to them", {
  timeout: 900_000,
  ...needed,
}, async (t) => {
  const main = join(root, "test/long/kubernetes/main.ts");
  const args = ["--net", "--mount", "--kill-child", "--fork", process.execPath, main, scratch(t)];
  const child = spawn("unshare", args, { cwd: root, env: environment() });
  t.after(() => child.kill("SIGKILL"));
  const { status, out, err } = await ended(child);
  for (const line of out.trimEnd().split("\n")) t.diagnostic(line);
  assert.equal(status, 0, err);
  assert.deepEqual(
    out
      .trimEnd()
      .split("\n")
      .map((line) => line.split(": ")[0]),
    scenes,
  );
});
