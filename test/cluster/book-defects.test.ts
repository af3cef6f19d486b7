/**
 * Defects of the book's version that only a process shows, each shown to be absent here. test/DEFECTS.md lists them
 * all.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openClient, type TailraceClient } from "../../src/client/mod.ts";
import { makeCertificates } from "../chaos/credentials.ts";
import { startCluster } from "../chaos/started-cluster.ts";
import { openTail } from "../support/http/tail-reader.ts";
import { processWait } from "../support/process/cluster.ts";
import { startNode, tailrace } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const values = (count: number): string[] => Array.from({ length: count }, (_, n) => `record ${n}`);

async function produce(client: TailraceClient, records: readonly string[]): Promise<void> {
  const producer = client.producer();
  await Promise.all(records.map((value) => producer.send({ value })));
}

async function consumed(client: TailraceClient): Promise<string[]> {
  const found: string[] = [];
  for await (const { value } of client.consume({ from: "start", until: "end" }))
    found.push(Buffer.from(value).toString());
  return found;
}

test("index unusable after kill -9: a thousand acknowledged records are there when the node comes back", async (t) => {
  const flags = ["--data-dir", scratch(t)];
  const node = await startNode(t, flags);
  {
    using client = openClient({ addr: node.addr });
    await produce(client, values(1000));
  }
  await node.kill("SIGKILL");
  using client = openClient({ addr: (await startNode(t, flags)).addr });
  assert.deepEqual(await consumed(client), values(1000));
});

test("no checksum: a byte that was changed on the disk is not served", async (t) => {
  const directory = scratch(t);
  const flags = ["--data-dir", directory, "--segment-store-bytes-max", "2KiB"];
  const node = await startNode(t, flags);
  {
    using client = openClient({ addr: node.addr });
    for (const value of values(100)) await client.producer({ lingerMs: 0 }).send({ value });
  }
  await node.kill("SIGTERM");
  const [first] = readdirSync(join(directory, "log"))
    .filter((name) => name.endsWith(".store"))
    .sort();
  const file = join(directory, "log", first!);
  const bytes = readFileSync(file);
  const at = bytes.indexOf("record 3");
  bytes[at] = 0x52;
  writeFileSync(file, bytes);
  const verified = await tailrace(["verify", directory]);
  assert.equal(verified.status, 5, verified.out);
});

test("segments of 1 KiB with two open files each: a cluster takes thousands of records and few files are open", async (t) => {
  const { fleet } = await startCluster(t, 3, { flags: ["--segment-store-bytes-max", "1KiB"] });
  using client = openClient({ addrs: fleet.direct() });
  const records = values(2_500).map((value) => value.padEnd(120)); // the book's cluster stopped at 2,369
  for (let at = 0; at < records.length; at += 20) await produce(client, records.slice(at, at + 20));
  assert.deepEqual(await consumed(client), records);
  for (const { name, child, directory } of fleet.nodes) {
    await until(
      `${name} has rolled`,
      async () => readdirSync(join(directory, "log")).length >= 250,
      processWait,
    );
    const open = readdirSync(`/proc/${child!.pid}/fd`).length;
    t.diagnostic(`${name}: ${readdirSync(join(directory, "log")).length} files, ${open} open`);
    assert.ok(open < 150, `${name} has ${open} files open`);
  }
});

test("a failed member is removed at once: it stays a voter, and has everything when it is back", async (t) => {
  const { fleet, operator } = await startCluster(t, 3);
  const leader = await operator.leader();
  const gone = fleet.nodes.find((node) => node !== leader)!;
  await fleet.end(gone, "SIGKILL");
  await until(
    "gossip knows that it has failed",
    async () => {
      const { out } = await tailrace(["members", "--addr", leader!.addr, "--json"]);
      return new RegExp(`"${gone.name}"[^}]*"failed"`).test(out);
    },
    processWait,
  );
  using client = openClient({ addrs: [leader!.addr] });
  await produce(client, values(10));
  const servers = await operator.servers();
  assert.deepEqual(servers.map(({ id }) => id).sort(), ["n1", "n2", "n3"]);
  assert.ok(servers.every(({ role }) => role !== "learner"));
  await fleet.start(gone);
  await until("the cluster is whole", () => operator.isWhole(), processWait);
});

/** Seconds in which the main thread ran or was runnable. On a loaded machine too, a busy loop is always runnable. */
const runnableSeconds = (pid: number): number => {
  const [ran = "", waited = ""] = readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ");
  return (Number(ran) + Number(waited)) / 1e9;
};

test("one idle consumer burns a core: a hundred of them cost nearly nothing", async (t) => {
  const node = await startNode(t, ["--data-dir", scratch(t)]);
  const tails = await Promise.all(Array.from({ length: 100 }, () => openTail(`${node.url}/tail`)));
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = runnableSeconds(node.pid);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const runnable = runnableSeconds(node.pid) - before;
  for (const tail of tails) tail.close();
  t.diagnostic(`${runnable.toFixed(2)} s of 3 s runnable`);
  assert.ok(runnable < 1.5, `${runnable} s of 3 s runnable`);
});

test("the ACL model flag is ignored: the same policy allows by one model and denies by another", async (t) => {
  const directory = scratch(t);
  const { server, flags: client } = await makeCertificates(directory);
  const policy = join(directory, "policy.csv");
  writeFileSync(policy, "p, root, *, produce\n");
  for (const [matcher, status] of [
    ["r.sub == p.sub && r.act == p.act", 0],
    ['r.sub == p.sub && r.act == p.act && r.sub == "somebody else"', 4],
  ] as const) {
    const model = join(directory, `model-${status}.conf`);
    writeFileSync(
      model,
      `[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = ${matcher}\n`,
    );
    const access = ["--acl-model-file", model, "--acl-policy-file", policy];
    const node = await startNode(t, ["--data-dir", join(directory, `data-${status}`), ...server, ...access]);
    const produced = await tailrace(["produce", "--addr", node.addr, ...client], { input: "hello\n" });
    assert.equal(produced.status, status, produced.err);
  }
});

test("the command line cannot form a TLS cluster: three nodes with certificates elect a leader and take records", async (t) => {
  const { server, flags: client } = await makeCertificates(scratch(t));
  const { fleet } = await startCluster(t, 3, { flags: server, atOnce: true });
  const at = ["--addr", fleet.nodes[0]!.addr, ...client];
  await until(
    "there is a leader and two followers",
    async () => {
      const { out } = await tailrace(["servers", "--json", ...at]);
      return (out.match(/"follower"/g)?.length ?? 0) === 2 && out.includes('"leader"');
    },
    processWait,
  );
  const produced = await tailrace(["produce", ...at], { input: "hello\n" });
  assert.deepEqual([produced.status, produced.out], [0, '{"offset":0}\n'], produced.err);
});
