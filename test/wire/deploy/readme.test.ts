/**
 * Runs the commands of deploy/README.md in order. Programs that change the machine are replaced: `npm` and `systemctl` only
 * show their arguments, and `sudo` runs its command with /opt and /etc below an empty directory.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { ended, root, startNode } from "../../support/process/process.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { scratch } from "../../support/scratch.ts";
import { deployFile } from "../../support/telemetry/deploy-files.ts";

const readme = readFileSync(deployFile("README.md"), "utf8");
const commands = [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block = ""]) =>
  block.trimEnd().split("\n"),
);

/** A directory with the replaced programs. */
function programs(directory: string, machine: string): string {
  const path = join(directory, "bin");
  mkdirSync(path);
  const program = (name: string, text: string): void =>
    writeFileSync(join(path, name), `#!/bin/bash\n${text}\n`, { mode: 0o755 });
  program("sudo", `exec "\${@/#\\/etc\\//${machine}/etc/}"`);
  for (const name of ["npm", "systemctl"]) program(name, `echo ${name} "$@"`);
  return path;
}

const needed = ["curl", "promtool", "systemd-sysusers"].map(requireProgram).find(({ skip }) => skip) ?? {};

test("the commands of deploy/README.md succeed and install what the service needs", needed, async (t) => {
  const directory = scratch(t);
  const machine = join(directory, "machine");
  mkdirSync(join(machine, "etc"), { recursive: true });
  const node = await startNode(t, ["--data-dir", join(directory, "data")]);
  const path = `${programs(directory, machine)}${delimiter}${process.env["PATH"]}`;
  const printed: string[] = [];
  for (const command of commands) {
    const here = command
      .replace("localhost:9080", node.ops)
      .replace("systemd-sysusers", `systemd-sysusers --root=${machine}`);
    const env = { ...process.env, PATH: path };
    const { status, out, err } = await ended(spawn("bash", ["-c", here], { cwd: root, env }));
    assert.equal(status, 0, `${command}: ${err}`);
    printed.push(out);
  }
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  assert.equal(printed[1], `npm install --global --prefix /opt/tailrace ./tailrace-${version}.tgz\n`);
  const unit = readFileSync(join(machine, "etc/systemd/system/tailrace.service"), "utf8");
  const settings = /^EnvironmentFile=(.*)$/m.exec(unit)?.[1] ?? "";
  assert.ok(existsSync(join(machine, settings)), settings);
  assert.equal(statSync(join(machine, settings)).mode & 0o777, 0o600);
  assert.match(unit, /^ExecStart=\/opt\/tailrace\/bin\/tailrace /m);
  assert.match(readFileSync(join(machine, "etc/passwd"), "utf8"), /^tailrace:/m);
});
