/**
 * A node in a memory cgroup of 256 MiB with clients that make it use memory: it is not killed, a normal client is served
 * meanwhile, and the memory is released afterwards. Takes about three minutes.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { ended, environment, root } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { attacks, recordBytes, records } from "../wire/hostile/memory-attacks.ts";
import { memoryCgroup } from "./memory-cgroup.ts";

const MiB = 2 ** 20;
const limitBytes = 256 * MiB;
/** Duration of an attack after its start. */
const attackMs = 3_000;
/** A limit against hanging. */
const postMsMax = 10_000;

interface Node {
  readonly child: ChildProcess;
  readonly port: number;
  readonly ops: string;
}

/** Starts a compiled node in the cgroup, so that all its memory counts. */
async function start(t: TestContext, processes: string): Promise<Node> {
  const built = await ended(
    spawn(process.execPath, [join(root, "src/build.mjs"), "--if-stale"], { cwd: root }),
  );
  assert.equal(built.status, 0, built.err);
  const bin = join(root, "src/cli/bin.cjs");
  const flags = [
    "--addr",
    "127.0.0.1:0",
    "--ops-addr",
    "127.0.0.1:0",
    "--data-dir",
    scratch(t),
    "--log-level",
    "error",
  ];
  const words = ["-c", 'echo $$ > "$0"; exec "$@"', processes, process.execPath, bin, "serve", ...flags];
  const child = spawn("/bin/sh", words, { env: environment(), stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  let out = "";
  const line = await new Promise<string>((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`the node ended with ${code} before it was ready`)));
    child.stdout?.on("data", (chunk: Buffer) => {
      out += chunk.toString("utf8");
      if (/^tailrace ready .*\n/.test(out)) resolve(out);
    });
  });
  const fact = (name: string): string => new RegExp(`\\b${name}=(\\S+)`).exec(line)?.[1] ?? "";
  return { child, port: Number(fact("addr").split(":")[1]), ops: fact("ops") };
}

function post(port: number, agent: Agent, value: Buffer): Promise<{ status: number; ms: number }> {
  const started = performance.now();
  return new Promise((resolve) => {
    const done = (status: number): void => resolve({ status, ms: performance.now() - started });
    const asked = request({ port, host: "127.0.0.1", method: "POST", path: "/", agent, timeout: postMsMax });
    asked.on("response", (response) => {
      response.resume();
      response.on("end", () => done(response.statusCode ?? 0));
    });
    asked.on("timeout", () => asked.destroy());
    asked.on("error", () => done(0));
    asked.end(JSON.stringify({ record: { value: value.toString("base64") } }));
  });
}

const residentMiB = ({ pid }: ChildProcess): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;

async function metric(ops: string, name: string): Promise<number> {
  const text = await (await fetch(`http://${ops}/metrics`)).text();
  let sum = 0;
  for (const line of text.split("\n")) if (line.startsWith(name)) sum += Number(line.split(" ").pop());
  return sum;
}

test("clients that stop reading or sending do not end a node with 256 MiB of memory", {
  timeout: 600_000,
}, async (t) => {
  const group = memoryCgroup("tailrace-test", limitBytes);
  if (group === undefined) {
    t.skip("no memory cgroup can be made here");
    return;
  }
  const node = await start(t, group.processes);
  let exited: string | undefined;
  node.child.once("exit", (code, signal) => {
    exited = `the node ended: ${code ?? signal}`;
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(async () => {
    agent.destroy();
    node.child.kill("SIGKILL");
    if (node.child.exitCode === null && node.child.signalCode === null) await once(node.child, "exit");
    group.remove();
  });
  for (let one = 0; one < records; one++) {
    const { status } = await post(node.port, agent, Buffer.alloc(recordBytes, one));
    assert.equal(status, 200);
  }
  const budget = await metric(node.ops, "tailrace_memory_limit");
  assert.ok(budget > 0 && budget <= limitBytes / 4, `a budget of ${budget}`);

  for (const attack of attacks) {
    let over = false;
    let worstMs = 0;
    let refused = 0;
    let posts = 0;
    const good = (async () => {
      while (!over && exited === undefined) {
        const { status, ms } = await post(node.port, agent, Buffer.from("good"));
        posts++;
        if (status !== 200) refused++;
        worstMs = Math.max(worstMs, ms);
        await delay(20);
      }
    })();
    const close = await Promise.race([attack.start(node.port), delay(15_000, () => undefined)]);
    await delay(attackMs);
    const held = exited === undefined ? await metric(node.ops, "tailrace_memory_held") : 0;
    over = true;
    await good;
    close?.();
    assert.equal(exited, undefined, attack.name);
    assert.ok(worstMs < postMsMax, `${attack.name}: a POST took ${Math.round(worstMs)} ms`);
    assert.ok(refused <= posts / 10, `${attack.name}: ${refused} of ${posts} POSTs failed`);
    assert.ok(held <= budget + 8 * MiB, `${attack.name}: ${held} held, ${budget} may be`);
    t.diagnostic(`${attack.name}: ${posts} POSTs, worst ${Math.round(worstMs)} ms, ${refused} refused`);
  }
  // The node learns in its turn that the clients of the last attack have left.
  let resident = residentMiB(node.child);
  let held = await metric(node.ops, "tailrace_memory_held");
  for (let tries = 0; tries < 100 && (resident > 180 || held >= MiB); tries++) {
    await delay(100);
    resident = residentMiB(node.child);
    held = await metric(node.ops, "tailrace_memory_held");
  }
  assert.ok(resident <= 180, `${Math.round(resident)} MiB after all have left`);
  assert.ok(held < MiB, `${held} bytes are held after all have left`);
  t.diagnostic(
    `at most ${Math.round((group.peakBytes() ?? 0) / MiB)} MiB in the cgroup, ${Math.round(resident)} resident after`,
  );
});
