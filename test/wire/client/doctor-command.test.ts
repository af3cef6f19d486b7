/** `tailrace doctor`, profiles and the text of records, as processes. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { testAuthority, writeTlsFiles } from "../../support/process/certificates.ts";
import { freePort } from "../../support/process/free-port.ts";
import { bin, environment, startNode, tailrace } from "../../support/process/process.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { scratch } from "../../support/scratch.ts";

interface Report {
  readonly result: string;
  readonly checks: readonly {
    readonly name: string;
    readonly grade: string;
    readonly found: string;
    readonly todo?: string;
  }[];
}

/** The report, and the grade of each check. */
async function doctor(args: readonly string[], env: Record<string, string> = {}) {
  const { status, out, err } = await tailrace(["doctor", ...args, "--json"], { env });
  assert.equal(err, "");
  const report = JSON.parse(out) as Report;
  const grades = Object.fromEntries(report.checks.map(({ name, grade }) => [name, grade]));
  for (const { grade, todo } of report.checks)
    assert.equal(todo !== undefined, grade === "problem" || grade === "warning");
  const expected = { ok: 0, warning: 6, problem: 1 }[report.result];
  assert.equal(status, expected, out);
  return { report, grades };
}

test("the doctor examines a node that runs, over TLS and with a profile", async (t) => {
  const folder = scratch(t);
  const authority = await testAuthority();
  const server = writeTlsFiles(folder, "server", await authority.node(), authority.issued);
  const client = writeTlsFiles(folder, "client", await authority.client("root"), authority.issued);
  const node = await startNode(t, [
    ...["--data-dir", join(folder, "data"), "--server-tls-cert-file", server.certFile],
    ...["--server-tls-key-file", server.keyFile, "--server-tls-ca-file", server.caFile],
  ]);
  mkdirSync(join(folder, "tailrace"));
  const { certFile, keyFile, caFile } = client;
  const text = `profile: own\nprofiles: {own: {addr: "${node.addr}", tls-ca-file: "${caFile}", tls-cert-file: "${certFile}", tls-key-file: "${keyFile}"}}`;
  writeFileSync(join(folder, "tailrace/config.yaml"), text);
  const env = { XDG_CONFIG_HOME: folder };
  const { grades, report } = await doctor([join(folder, "data"), "--ops-addr", node.ops], env);
  assert.partialDeepStrictEqual(grades, {
    directory: "ok",
    profile: "ok",
    node: "ok",
    durability: "ok",
    cluster: "ok",
    "node-clock": "ok",
  });
  for (const name of [
    "descriptors",
    "memory",
    "clock",
    "disk-sync",
    "certificates",
    "addr-cert",
    "node-certs",
    "node-files",
  ])
    assert.ok(name in grades, `${name}: ${JSON.stringify(report)}`);
  const { length } = new Set(report.checks.map(({ name }) => name)).values().toArray();
  assert.equal(length, report.checks.length, "each check has a name of its own");
  const unnamed = await doctor(["--ops-addr", node.ops], env);
  const skippedCheck = unnamed.report.checks.find(({ name }) => name === "directory");
  assert.equal(skippedCheck?.grade, "skipped", "./data is not that of the node");
  assert.match(skippedCheck?.found ?? "", /^a node runs at .*; give the directory to check one here$/);
  assert.ok(!("space" in unnamed.grades));
  const produced = await tailrace(["produce"], { input: "by profile\n", env });
  assert.deepEqual([produced.status, produced.out], [0, '{"offset":0}\n'], produced.err);
  const none = await tailrace(["status", "--profile", "none", "--addr", node.addr], { env });
  assert.notEqual(none.status, 0, "without the profile there are no certificates");
  const wrong = await tailrace(["status", "--profile", "owm"], { env });
  assert.equal(wrong.status, 2);
  assert.match(
    wrong.err,
    /^tailrace status: --profile: there is no profile "owm" in .*; the profiles are own\n$/,
  );
});

test("the doctor examines the ports if no node runs, and a node that was named must run", async (t) => {
  const folder = scratch(t);
  const port = await freePort();
  const named = await doctor([folder, "--addr", `127.0.0.1:${port}`]);
  assert.equal(named.grades["node"], "problem");
  assert.equal(named.grades["port"], "ok");
  const other = createServer((socket) => socket.destroy()).listen(port, "127.0.0.1");
  t.after(() => other.close());
  await once(other, "listening");
  const taken = await doctor([folder, "--addr", `127.0.0.1:${port}`]);
  assert.equal(taken.grades["node"], "problem");
  const { status, out } = await tailrace(["doctor", folder, "--addr", `127.0.0.1:${port}`]);
  assert.equal(status, 1);
  assert.match(out, /^problem {2}node .*\n +to do: /m);
  assert.equal((await tailrace(["doctor", "--addr", "x"])).status, 2);
});

test(
  "records are text on a terminal and JSON in a pipe, and --json is JSON on both",
  requireProgram("script"),
  async (t) => {
    const node = await startNode(t, ["--data-dir", join(scratch(t), "data")]);
    await tailrace(["produce", "--key", "k", "--addr", node.addr], {
      input: "a \u001b[31mred\u001b[0m one\n",
    });
    const onTerminal = async (...more: readonly string[]): Promise<string> => {
      const words = [process.execPath, bin, "consume", "--addr", node.addr, ...more].map(
        (word) => `'${word}'`,
      );
      const child = spawn("script", ["-qec", words.join(" "), "/dev/null"], { env: environment() });
      let shown = "";
      child.stdout.on("data", (chunk: Buffer) => {
        shown += chunk.toString();
      });
      child.stdin.end();
      await once(child, "close");
      return shown.replaceAll("\r\n", "\n");
    };
    assert.equal(await onTerminal(), "0 [k] a \\u{1b}[31mred\\u{1b}[0m one\n");
    const { out } = await tailrace(["consume", "--addr", node.addr]);
    assert.match(out, /^\{"offset":0,"timestamp_ms":\d+,"key":"aw==","value":"[^"]+"\}\n$/);
    assert.equal(await onTerminal("--json"), out);
    const text = await tailrace(["consume", "--format", "text", "--addr", node.addr]);
    assert.equal(text.out, "0 [k] a \u001b[31mred\u001b[0m one\n");
    assert.equal((await tailrace(["consume", "--json", "--format", "raw", "--addr", node.addr])).status, 2);
  },
);
