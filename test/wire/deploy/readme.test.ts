/**
 * Runs the commands of deploy/README.md and of the chart's README in order. Programs that change the machine or need a cluster
 * are replaced: `npm`, `systemctl`, `docker`, `kubectl` and `tailrace remove` only show their arguments, `sudo` runs its command with /etc below an
 * empty directory, and `helm install` and `helm upgrade` render. test/long/image.test.ts runs the commands of docker.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { kubernetesVersion } from "../../support/deploy/chart.ts";
import { bin, ended, environment, root, startNode } from "../../support/process/process.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { scratch } from "../../support/scratch.ts";
import { deployFile } from "../../support/telemetry/deploy-files.ts";

const commandsOf = (page: string): string[] =>
  [...readFileSync(deployFile(page), "utf8").matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(
    ([, block = ""]) => block.trimEnd().split("\n"),
  );
const commands = commandsOf("README.md");

const helmPath = spawnSync("sh", ["-c", "command -v helm"], { encoding: "utf8" }).stdout.trim();
const helmRender = `${helmPath} template --kube-version ${kubernetesVersion}`;

/** A directory with the replaced programs. */
function programs(directory: string, machine: string): string {
  const path = join(directory, "bin");
  mkdirSync(path);
  const program = (name: string, text: string): void =>
    writeFileSync(join(path, name), `#!/bin/bash\n${text}\n`, { mode: 0o755 });
  program("sudo", `exec "\${@/#\\/etc\\//${machine}/etc/}"`);
  for (const name of ["npm", "systemctl", "docker", "kubectl", "tailrace"])
    program(name, `echo ${name} "$@"`);
  program("tailrace", `[ "$1" = keygen ] && exec ${process.execPath} ${bin} keygen || echo tailrace "$@"`);
  program(
    "helm",
    `case $1 in
      install) exec ${helmRender} "\${@:2}" ;;
      upgrade) args=("\${@:2}"); exec ${helmRender} "\${args[@]/#--reuse-values/--set=gossip.existingSecret=g}" ;;
      *) echo helm "$@" ;;
    esac`,
  );
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

test("the commands of the chart's README succeed", requireProgram("helm"), async (t) => {
  const directory = scratch(t);
  const path = `${programs(directory, directory)}${delimiter}${process.env["PATH"]}`;
  const printed: string[] = [];
  for (const command of commandsOf("helm/tailrace/README.md")) {
    const child = spawn("bash", ["-c", command], { cwd: root, env: { ...environment(), PATH: path } });
    const { status, out, err } = await ended(child);
    assert.equal(status, 0, `${command}: ${err}`);
    printed.push(out);
  }
  const [, secret = "", installed = ""] = printed;
  assert.match(secret, /--from-literal=key=[A-Za-z0-9+/]{43}=\n$/);
  assert.match(installed, /^ +image: registry\.example\.org\/tailrace:/m);
  assert.match(installed, /^ +name: tailrace-gossip$/m);
  const [upgraded = "", deleted, , backedUp = ""] = printed.slice(-4);
  assert.match(upgraded, /^ {2}replicas: 3$/m);
  // The claims of the pods that are gone.
  const claim = `${/^ {4}- apiVersion: v1\n {6}kind: PersistentVolumeClaim\n {6}metadata:\n {8}name: (.*)$/m.exec(upgraded)?.[1]}-tailrace`;
  assert.match(deleted ?? "", new RegExp(` ${claim}-3 ${claim}-4\n$`));
  assert.match(backedUp, /^ +backup-to: s3:\/\/my-backups\/logs\/tailrace$/m);
});
