/** The systemd unit: its syntax, its hardening, its settings, and that it fits what `tailrace serve` does. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readConfig } from "../../../src/agent/mod.ts";
import { exitStatus } from "../../../src/cli/exit-status.ts";
import { startNode } from "../../support/process/process.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { scratch } from "../../support/scratch.ts";
import { deployFile } from "../../support/telemetry/deploy-files.ts";
import { until } from "../../support/until.ts";

const unit = readFileSync(deployFile("systemd/tailrace.service"), "utf8");
const settingsText = readFileSync(deployFile("systemd/tailrace.env"), "utf8");
const lineOf = (key: string): string => new RegExp(`^${key}=(.*)$`, "m").exec(unit)?.[1] ?? "";

/** The exposure that `systemd-analyze security` may find at most, in tenths: 11 when this was written. */
const exposureMax = 13;

function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
  return stderr;
}

test("systemd finds nothing wrong in the unit", requireProgram("systemd-analyze"), (t) => {
  const directory = scratch(t);
  const command = join(directory, "tailrace");
  writeFileSync(command, "#!/bin/sh\n", { mode: 0o755 });
  const copy = join(directory, "tailrace.service");
  // The command must exist for this check.
  writeFileSync(copy, unit.replace("ExecStart=/opt/tailrace/bin/tailrace", `ExecStart=${command}`));
  assert.equal(run("systemd-analyze", "verify", "--man=no", copy), "");
});

test("the exposure of the unit is low", requireProgram("systemd-analyze"), () => {
  const file = deployFile("systemd/tailrace.service");
  run("systemd-analyze", "security", "--no-pager", "--offline=true", `--threshold=${exposureMax}`, file);
});

test("the user of the unit is created", requireProgram("systemd-sysusers"), (t) => {
  const directory = scratch(t);
  mkdirSync(join(directory, "etc"));
  run("systemd-sysusers", `--root=${directory}`, deployFile("systemd/tailrace.sysusers.conf"));
  const users = readFileSync(join(directory, "etc/passwd"), "utf8");
  assert.match(users, /^tailrace:.*:\/var\/lib\/tailrace:.*nologin$/m);
  assert.equal(lineOf("User"), "tailrace");
});

test("the unit fits the exit statuses and the times of serve", () => {
  const never = [exitStatus.usage, exitStatus.corrupt];
  assert.deepEqual(lineOf("RestartPreventExitStatus").split(" ").map(Number), never);
  const { config } = readConfig({ flags: [], environment: {}, readFile: () => "" });
  // Before the grace of requests the leader hands over, and after it the log is closed.
  assert.ok(Number.parseInt(lineOf("TimeoutStopSec"), 10) * 1_000 >= 2 * config.shutdownTimeout);
  assert.ok(Number(lineOf("LimitNOFILE")) >= 2 * config.connectionsMax);
});

/** The variables in the example of the settings; those in comments too, if `all`. */
function variables(all: boolean): Record<string, string> {
  const lines = settingsText.matchAll(all ? /^#?(TAILRACE_\w+)=(.*)$/gm : /^(TAILRACE_\w+)=(.*)$/gm);
  return Object.fromEntries([...lines].map(([, name = "", value = ""]) => [name, value]));
}

test("the example of the settings is valid, for a node alone and for one of three", () => {
  const read = (environment: Record<string, string>) =>
    readConfig({ flags: ["--data-dir", "/var/lib/tailrace"], environment, readFile: () => "" }).config;
  assert.equal(read(variables(false)).addr.host, "127.0.0.1");
  const ofThree = variables(true);
  assert.throws(() => read(ofThree), /TAILRACE_ENCRYPT/);
  const config = read({ ...ofThree, TAILRACE_ENCRYPT: Buffer.alloc(32).toString("base64") });
  assert.deepEqual(
    [config.nodeName, config.bootstrapExpect, config.startJoinAddrs.length, config.advertiseAddr?.host],
    ["n1", 3, 3, "n1.example.org"],
  );
});

const receiver = `
import socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
print("bound", flush=True)
while True: print(receiver.recv(4096).decode(), flush=True)
`;

test("serve notifies systemd that it is ready, alive and stopping", requireProgram("python3"), async (t) => {
  const directory = scratch(t);
  const socket = join(directory, "notify");
  const child = spawn("python3", ["-c", receiver, socket], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString("utf8");
  });
  const lines = (): string[] => text.split("\n");
  await until("the receiver is bound", async () => lines().includes("bound"));
  const flags = ["--data-dir", join(directory, "data")];
  const node = await startNode(t, flags, { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "200000" });
  await until("it is ready and alive", async () =>
    ["READY=1", "STATUS=ready", "WATCHDOG=1"].every((line) => lines().includes(line)),
  );
  assert.ok(!lines().includes("STOPPING=1"));
  const { status, signal } = await node.kill("SIGTERM");
  assert.deepEqual([status, signal], [0, null]);
  await until("it is stopping", async () => lines().includes("STOPPING=1"));
});
