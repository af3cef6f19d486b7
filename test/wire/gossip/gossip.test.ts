/**
 * Gossip of nodes: `tailrace serve` as processes, their command line, and the real `serf` agent on their port.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openClient } from "../../../src/client/mod.ts";
import { curl } from "../../support/http/curl.ts";
import { testAuthority, writeTlsFiles } from "../../support/process/certificates.ts";
import { freePort } from "../../support/process/free-port.ts";
import { type NodeProcess, startNode, tailrace } from "../../support/process/process.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";
import { type Agent, startAgent } from "./serf-agent.ts";

const serf = requireProgram("serf");

interface SeenMember {
  readonly name: string;
  readonly addr: string;
  readonly status: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** The members as the command line lists them. */
async function listed(node: NodeProcess, ...flags: string[]): Promise<SeenMember[]> {
  const { status, out, err } = await tailrace(["members", "--addr", node.addr, "--json", ...flags]);
  assert.equal(status, 0, err);
  return out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as SeenMember);
}

/** The members as the API lists them, which is faster than a process for repeated polls. */
async function members(node: NodeProcess): Promise<SeenMember[]> {
  const asked = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
  const { status, text, json } = await curl(`http://${node.addr}/log.v1.Cluster/Members`, asked);
  assert.equal(status, 200, text);
  return json["members"] as SeenMember[];
}

const sees = async (node: NodeProcess, name: string, status = "alive"): Promise<boolean> =>
  (await members(node)).some((member) => member.name === name && member.status === status);

const agentSees = async (agent: Agent, name: string, status = "alive"): Promise<boolean> =>
  (await agent.member(name))?.status === status;

test("a serf agent and a node on one port exchange members, events and queries", serf, async (t) => {
  const directory = scratch(t);
  const node = await startNode(t, ["--data-dir", join(directory, "d"), "--node-name", "alpha"]);
  const [own] = await listed(node);
  assert.equal(own?.name, "alpha");
  assert.equal(own?.addr, node.addr);
  assert.equal(own?.tags["role"], "tailrace");
  assert.equal(own?.tags["rpc_addr"], node.addr);
  assert.match(own?.tags["directory"] ?? "", /^[0-9a-f]{32}$/);

  const agent = await startAgent(t, { name: "watcher", directory, tags: { role: "ops" }, join: [node.addr] });
  await until("watcher is alive for node", () => sees(node, "watcher"));
  assert.deepEqual((await agent.member("alpha"))?.tags, own?.tags);
  const table = await tailrace(["members", "--addr", node.addr]);
  assert.match(table.out, /^name +address +status +tags\n.*^watcher +127\.0\.0\.1:\d+ +alive +role=ops$/ms);

  assert.equal((await tailrace(["event", "deploy", "v2", "--addr", node.addr])).status, 0);
  await until("agent gets user deploy v2", () => agent.receivedEvents().includes("user deploy v2"), {
    explain: () => agent.receivedEvents().join(),
  });
  await agent.run("event", "-coalesce=false", "release", "v3");
  await until("the event release is logged", () => /"event":"release"[^\n]*"user event"/.test(node.log()));

  const asked = await tailrace(["query", "who", "--addr", node.addr, "--timeout", "2s", "--json"]);
  assert.equal(asked.status, 0, asked.err);
  const answers = asked.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { from: string; ack: boolean; payload: string });
  assert.deepEqual(
    answers
      .filter(({ ack }) => ack)
      .map(({ from }) => from)
      .sort(),
    ["alpha", "watcher"],
  );
  assert.deepEqual(
    answers.filter(({ ack }) => !ack).map(({ from, payload }) => [from, atob(payload)]),
    [["watcher", "answer of watcher"]],
  );
  const filtered = await tailrace([
    "query",
    "who",
    "--addr",
    node.addr,
    "--timeout",
    "1s",
    "--tag",
    "role=^tail",
  ]);
  assert.equal(filtered.out, "");
  assert.equal(filtered.err, "received by 1, answered by 0\n");

  const printed = await agent.run("query", "-format=json", "-timeout=3s", "tailrace-status");
  const { Responses } = JSON.parse(printed) as { Responses: Record<string, string> };
  const status = JSON.parse(Responses["alpha"] ?? "") as Record<string, unknown>;
  assert.equal(status["id"], "alpha");
  assert.equal(status["role"], "leader");

  await agent.run("leave");
  await until("watcher is left for node", () => sees(node, "watcher", "left"));
  assert.deepEqual(
    (await listed(node, "--status", "left")).map(({ name }) => name),
    ["watcher"],
  );
});

test("a node joins seeds that start late, fails when it is stopped, and rejoins", async (t) => {
  const directory = scratch(t);
  const port = await freePort();
  const cluster = ["--cluster-id", "one"];
  const early = await startNode(t, [
    ...["--data-dir", join(directory, "early"), "--node-name", "early", ...cluster],
    ...["--bootstrap", "--start-join-addrs", `127.0.0.1:${port}`],
  ]);
  await until("the first join of early has failed", () => early.log().includes("it will be tried again"));
  const lateFlags = ["--data-dir", join(directory, "late"), "--node-name", "late", ...cluster];
  const late = await startNode(t, [
    ...[...lateFlags, "--addr", `127.0.0.1:${port}`],
    ...["--start-join-addrs", early.addr],
  ]);
  await until("late is alive for early", () => sees(early, "late"));
  await until("early is alive for late", () => sees(late, "early"));

  const watching = new AbortController();
  t.after(() => watching.abort());
  using client = openClient({ addr: early.addr });
  const changes: string[] = [];
  const watch = (async () => {
    for await (const { event } of client.rpc.log.watch({}, { signal: watching.signal }))
      if (event.case === "membership") changes.push(`${event.value.name} ${event.value.change}`);
  })();
  watch.catch(() => undefined);

  // An orderly stop is not a leave: the node is failed, and its cluster waits for it.
  assert.equal((await late.kill("SIGTERM")).status, 0);
  await until("late is failed for early", () => sees(early, "late", "failed"));
  await until("the watch reports late failed", () => changes.includes("late failed"));
  // Without seeds, the snapshot in the data directory has the addresses of the others.
  assert.ok(existsSync(join(directory, "late", "gossip")));
  const again = await startNode(t, [...lateFlags, "--addr", `127.0.0.1:${port}`]);
  await until("early is alive for again", () => sees(again, "early"));
  await until("late is alive for early", () => sees(early, "late"));
  await until("the watch reports late joined", () => changes.includes("late joined"));
});

test(
  "a node of another cluster is refused and reported on both sides, and an observer may be in both",
  serf,
  async (t) => {
    const directory = scratch(t);
    const one = await startNode(t, [
      "--data-dir",
      join(directory, "1"),
      "--node-name",
      "one",
      "--cluster-id",
      "c1",
    ]);
    const two = await startNode(t, [
      ...["--data-dir", join(directory, "2"), "--node-name", "two", "--cluster-id", "c2"],
      ...["--bootstrap", "--start-join-addrs", one.addr],
    ]);
    const reported = /"cluster":"c[12]","ownCluster":"c[12]"[^\n]*another cluster/;
    for (const node of [one, two])
      await until("the refusal is logged", () => reported.test(node.log()), { explain: () => node.log() });
    // The agent is in both clusters, and gossips each node to the other.
    const agent = await startAgent(t, { name: "both", directory, join: [one.addr, two.addr] });
    await until("agent has 3 members", async () => (await agent.members()).length === 3);
    for (const [node, name] of [
      [one, "one"],
      [two, "two"],
    ] as const) {
      await until("both is alive for node", () => sees(node, "both"));
      assert.deepEqual((await members(node)).map((member) => member.name).sort(), ["both", name].sort());
    }
  },
);

test(
  "with TLS the port detects encrypted gossip by its first byte, and refuses other keys",
  serf,
  async (t) => {
    const directory = scratch(t);
    const authority = await testAuthority();
    const server = writeTlsFiles(directory, "server", await authority.node(), authority.issued);
    const client = writeTlsFiles(directory, "client", await authority.client("root"), authority.issued);
    const key = (await tailrace(["keygen"])).out.trim();
    const other = (JSON.parse((await tailrace(["keygen", "--json"])).out) as { key: string }).key;
    assert.notEqual(key, other);
    const node = await startNode(t, [
      ...["--data-dir", join(directory, "d"), "--node-name", "alpha", "--encrypt", key],
      ...["--server-tls-cert-file", server.certFile, "--server-tls-key-file", server.keyFile],
      ...["--server-tls-ca-file", server.caFile],
    ]);
    const agent = await startAgent(t, { name: "watcher", directory, key, join: [node.addr] });
    await until("alpha is alive for agent", () => agentSees(agent, "alpha"));
    const asked = await tailrace([
      ...["members", "--addr", node.addr.replace("127.0.0.1", "localhost"), "--json"],
      ...[
        "--tls-ca-file",
        client.caFile,
        "--tls-cert-file",
        client.certFile,
        "--tls-key-file",
        client.keyFile,
      ],
    ]);
    assert.match(asked.out, /"name":"watcher"/, asked.err);
    for (const [name, wrong] of [
      ["outsider", { key: other }],
      ["open", {}],
    ] as const) {
      const outsider = await startAgent(t, { name, directory, ...wrong });
      await assert.rejects(outsider.run("join", node.addr));
      assert.equal((await outsider.members()).length, 1);
    }
    await until("the refused gossip is logged", () => /"level":"warn"[^\n]*gossip: /.test(node.log()), {
      explain: () => node.log(),
    });
    // A plaintext HTTP request still gets an error in text.
    assert.equal((await curl(`http://${node.addr}/`)).status, 400);
  },
);

test("over IPv6 a node serves its command line and its gossip", async (t) => {
  const directory = scratch(t);
  const start = (name: string, ...more: string[]): Promise<NodeProcess> => {
    const flags = ["--addr", "[::1]:0", "--cluster-id", "six", "--node-name", name];
    return startNode(t, [...flags, "--data-dir", join(directory, name), ...more]);
  };
  const one = await start("one");
  assert.match(one.addr, /^\[::1\]:\d+$/);
  const two = await start("two", "--start-join-addrs", one.addr);
  await until("two is alive for one", () => sees(one, "two"));
  assert.equal((await members(two)).find(({ name }) => name === "one")?.addr, one.addr);
  assert.equal((await tailrace(["status", "--addr", one.addr])).status, 0);
});

test("with --gossip-addr the shared port refuses gossip", serf, async (t) => {
  const directory = scratch(t);
  const at = `127.0.0.1:${await freePort()}`;
  const node = await startNode(t, [
    ...["--data-dir", join(directory, "d"), "--node-name", "alpha", "--gossip-addr", at],
  ]);
  assert.equal((await members(node))[0]?.addr, at);
  const agent = await startAgent(t, { name: "watcher", directory });
  await assert.rejects(agent.run("join", node.addr));
  await agent.run("join", at);
  await until("watcher is alive for node", () => sees(node, "watcher"));
});

test("a UDP port in use is one error line and exit 1, and leaves no directory", async (t) => {
  // The port is free for TCP, so UDP is the reason.
  const port = await freePort();
  const taken = createSocket("udp4").bind(port, "127.0.0.1");
  t.after(() => taken.close());
  await once(taken, "listening");
  const directory = join(scratch(t), "data");
  for (const flags of [
    ["--addr", `127.0.0.1:${port}`],
    ["--addr", "127.0.0.1:0", "--gossip-addr", `127.0.0.1:${port}`],
  ]) {
    const { status, out, err } = await tailrace(["serve", "--data-dir", directory, ...flags]);
    assert.equal(status, 1);
    assert.equal(out, "");
    assert.match(err, /^tailrace serve: [^\n]*in use for UDP[^\n]*\n$/);
    assert.equal(existsSync(directory), false);
  }
});

test("the commands refuse invalid arguments with a reason", async (t) => {
  const node = await startNode(t, ["--data-dir", join(scratch(t), "d")]);
  const run = (...args: string[]) => tailrace([...args, "--addr", node.addr]);
  for (const args of [
    ["members", "--status", "x"],
    ["query", "a", "--timeout", "x"],
    ["query", "a", "--tag", "x"],
    ["event"],
  ])
    assert.equal((await run(...args)).status, 2, args.join(" "));
  for (const [args, reason] of [
    [["event", ""], /name is missing/],
    [["event", "big", "x".repeat(600)], /512 bytes/],
    [["query", "big", "x".repeat(1_100)], /1024 bytes/],
    [["query", "_serf_install-key", "x"], /reserved for Serf/],
    [["query", "a", "--tag", "role=("], /not an expression/],
    [["query", "a", "--timeout", "2h"], /the most is/],
  ] as const) {
    const { status, err } = await run(...args);
    assert.equal(status, 1, args.join(" "));
    assert.match(err, reason);
  }
  const unreachable = await tailrace(["members", "--addr", `127.0.0.1:${await freePort()}`]);
  assert.equal(unreachable.status, 3);
});
