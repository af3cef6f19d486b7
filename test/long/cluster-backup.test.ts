import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type ClusterNode, processWait, TestCluster } from "../support/process/cluster.ts";
import { ended, startCommand, tailrace } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

type Three = [ClusterNode, ClusterNode, ClusterNode];

const produce = async (
  cluster: TestCluster,
  node: ClusterNode,
  from: number,
  count: number,
): Promise<void> => {
  const input = Array.from({ length: count }, (_, at) => `${from + at}\n`).join("");
  const { status, err } = await tailrace(["produce", "--batch", "10", ...cluster.clientFlags(node)], {
    input,
  });
  assert.equal(status, 0, err);
};
const read = async (cluster: TestCluster, node: ClusterNode): Promise<string[]> => {
  const { out } = await tailrace([
    "consume",
    "--from",
    "start",
    "--format",
    "raw",
    ...cluster.clientFlags(node),
  ]);
  return out.trim().split("\n");
};
const upTo = (count: number): string[] => Array.from({ length: count }, (_, at) => String(at));
const json = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;

test("a backup has all committed records, an incremental one the new records, and a restored node gets the rest from the leader", async (t) => {
  const directory = scratch(t);
  const cluster = await TestCluster.open(t, directory, { flags: ["--segment-store-bytes-max", "2000"] });
  const [one, , three] = cluster.nodes as Three;
  await produce(cluster, one, 0, 200);
  const backup = join(directory, "backup");
  const first = await tailrace(["backup", backup, ...cluster.clientFlags(one)]);
  assert.equal(first.status, 0, first.err);
  await produce(cluster, one, 200, 20);
  const second = await tailrace(["backup", backup, ...cluster.clientFlags(one)]);
  assert.equal(second.status, 0, second.err);
  assert.ok(Number(json(second.out)["bytes"]) < Number(json(first.out)["bytes"]));
  assert.ok(readdirSync(backup).includes("snapshot"));

  const verified = await tailrace(["verify", backup]);
  assert.deepEqual([verified.status, verified.err], [0, ""]);
  assert.match(verified.out, /^ok records=220 lowest=0 next=220 bytes=\d+ named-logs=0\n$/);

  // A new cluster: the same records at the same offsets.
  const alone = join(directory, "alone");
  const restored = await tailrace(["restore", backup, "--data-dir", alone, "--new-cluster"]);
  assert.equal(restored.status, 0, restored.err);
  assert.equal(json(restored.out)["next"], 220);
  assert.match((await tailrace(["verify", alone])).out, /^ok records=220 lowest=0 next=220 /m);
  const again = await tailrace(["restore", backup, "--data-dir", alone]);
  assert.match(again.err, /is not empty/);

  // A lost follower, restored from the backup: it lacks only the newest records.
  await cluster.stop(three, "SIGKILL");
  cluster.wipe(three);
  await produce(cluster, one, 220, 30);
  assert.equal((await tailrace(["restore", backup, "--data-dir", three.directory])).status, 0);
  cluster.start(three);
  await cluster.whole();
  assert.deepEqual(await read(cluster, three), upTo(250));

  const own = await cluster.add("own", alone);
  own.flags = [];
  cluster.start(own);
  await cluster.ready(own);
  assert.deepEqual(await read(cluster, own), upTo(220));
  assert.notEqual((await cluster.status(own)).voters.join(), (await cluster.status(one)).voters.join());
});

test("a directory whose restore was killed is refused by nodes and every other command, and a restore begins again", async (t) => {
  const directory = scratch(t);
  const cluster = await TestCluster.open(t, directory, { nodes: 1 });
  const [one] = cluster.nodes;
  assert.ok(one !== undefined);
  const input = `${"x".repeat(500_000)}\n`.repeat(60);
  const produced = await tailrace(["produce", ...cluster.clientFlags(one)], { input });
  assert.equal(produced.status, 0, produced.err);
  const backup = join(directory, "backup");
  assert.equal((await tailrace(["backup", backup, ...cluster.clientFlags(one)])).status, 0);

  const part = join(directory, "part");
  const restore = startCommand(["restore", backup, "--data-dir", part]);
  const result = ended(restore);
  await until("the restore has begun", () => existsSync(join(part, "log")), { ...processWait, everyMs: 1 });
  restore.kill("SIGKILL");
  assert.equal((await result).signal, "SIGKILL");
  const commands = [
    ["serve", "--addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0", "--data-dir", part],
    ["verify", part],
    ["repair", part, "--yes"],
    ["recover", "--force-config", "--data-dir", part],
  ];
  for (const args of commands) {
    const { status, err } = await tailrace(args);
    assert.equal(status, 1, args.join(" "));
    assert.match(err, /the restore of .*part did not complete.*; empty the directory/);
  }
  mkdirSync(join(part, "lost+found"), { recursive: true });
  assert.equal((await tailrace(["restore", backup, "--data-dir", part])).status, 0);
  assert.match((await tailrace(["verify", part])).out, /^ok records=60 /m);
});

test("a node with a restored log does not bootstrap with empty nodes, which could start without its records", async (t) => {
  const directory = scratch(t);
  const cluster = await TestCluster.open(t, directory);
  const [one, two, three] = cluster.nodes as Three;
  await produce(cluster, one, 0, 50);
  const backup = join(directory, "backup");
  const { status, err } = await tailrace(["backup", backup, ...cluster.clientFlags(one)]);
  assert.equal(status, 0, err);
  await cluster.end();
  for (const node of cluster.nodes) cluster.wipe(node);
  assert.equal((await tailrace(["restore", backup, "--data-dir", one.directory])).status, 0);
  for (const node of cluster.nodes) cluster.start(node);
  await until(
    "the node with the log says what to do",
    async () => /with --bootstrap/.test((await cluster.unready(one)) ?? ""),
    processWait,
  );
  for (const empty of [two, three]) {
    const why = async (): Promise<string> => (await cluster.unready(empty)) ?? "";
    await until(
      `${empty.name} says which node it waits for`,
      async () => /n1 has a log already/.test(await why()),
      processWait,
    );
  }
  await cluster.stop(one);
  one.flags = ["--bootstrap", "--start-join-addrs", `${two.addr},${three.addr}`];
  cluster.start(one);
  await cluster.whole();
  for (const node of cluster.nodes) assert.deepEqual(await read(cluster, node), upTo(50));
});

test("after a majority is lost, recover makes a cluster of one node, and empty nodes join it", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
  const [one, two, three] = cluster.nodes as Three;
  await produce(cluster, one, 0, 20);
  await until(
    "the first node has all records",
    async () => (await read(cluster, one)).length === 20,
    processWait,
  );
  for (const node of [one, two, three]) await cluster.stop(node, "SIGKILL");
  const asked = await tailrace(["recover", "--data-dir", one.directory]);
  assert.deepEqual([asked.status, json(asked.out)["next"]], [1, 20]);
  assert.ok(Number(json(asked.out)["lastTerm"]) >= 1 && Number(json(asked.out)["lastIndex"]) >= 3, asked.out);
  const forced = await tailrace(["recover", "--force-config", "--data-dir", one.directory]);
  assert.equal(forced.status, 0, forced.err);
  assert.deepEqual(json(forced.out)["removed"], ["n2", "n3"]);
  assert.equal(typeof json(forced.out)["newlyCommitted"], "number");
  cluster.start(one);
  await cluster.ready(one);
  assert.deepEqual(await read(cluster, one), upTo(20));
  await produce(cluster, one, 20, 5);

  // A lost node comes back unchanged: it belongs to another cluster now.
  cluster.start(two);
  await until("the lost node is refused", () => /another cluster/.test(one.log), processWait);
  await cluster.stop(two, "SIGKILL");
  cluster.wipe(two);
  cluster.start(two);
  await until(
    "it is a voter",
    async () => (await cluster.status(one)).voters.join() === "n1,n2",
    processWait,
  );
  await cluster.ready(two);
  assert.deepEqual(await read(cluster, two), upTo(25));
});

test("a restored cluster and the one before it do not mix their backups in one place: a directory, and a bucket", async (t) => {
  const directory = scratch(t);
  const cluster = await TestCluster.open(t, directory, {
    nodes: 1,
    flags: ["--segment-store-bytes-max", "65536"],
  });
  const [old] = cluster.nodes;
  assert.ok(old !== undefined);
  const append = async (node: ClusterNode, letter: string, count: number): Promise<void> => {
    const input = `${letter.repeat(8_000)}\n`.repeat(count);
    const { status, err } = await tailrace(["produce", "--batch", "1", ...cluster.clientFlags(node)], {
      input,
    });
    assert.equal(status, 0, err);
  };
  const places = [join(directory, "backup"), `file://${join(directory, "bucket")}`];
  const backUp = (node: ClusterNode, place: string) =>
    tailrace(["backup", place, ...cluster.clientFlags(node)]);
  await append(old, "x", 10);
  for (const place of places) assert.equal((await backUp(old, place)).status, 0);
  const data = join(directory, "restored");
  assert.equal((await tailrace(["restore", places[1]!, "--data-dir", data])).status, 0);
  await cluster.stop(old);
  const restored = await cluster.add("restored", data);
  restored.flags = [];
  cluster.start(restored);
  await cluster.ready(restored);
  await append(restored, "y", 40);
  for (const place of places) {
    const { status, err } = await backUp(restored, place);
    assert.equal(status, 0, err);
  }
  await cluster.stop(restored);
  cluster.start(old);
  await cluster.ready(old);
  for (const count of [40, 20]) {
    await append(old, "z", count);
    for (const place of places) {
      const { status, err } = await backUp(old, place);
      assert.equal(status, 1, `${count} ${place}`);
      assert.match(
        err,
        count === 40 ? /another history|committed up to \d+ only/ : /another history .* another prefix/,
      );
    }
  }
  for (const place of places) {
    assert.match((await tailrace(["verify", place])).out, /^ok records=50 lowest=0 next=50 /);
    const other = `${place}-of-old`;
    const { status, err } = await backUp(old, other);
    assert.equal(status, 0, err);
    assert.match((await tailrace(["verify", other])).out, /^ok records=70 /);
  }

  // A node that joins with a backup of the restored cluster has other records: it answers no reads.
  const joins = await cluster.add("joins");
  joins.flags = ["--start-join-addrs", old.addr, "--restore-from", places[1]!];
  cluster.start(joins);
  await until("its log is refused", () => /the log of joins is not a prefix/.test(old.log), processWait);
  const { status, err } = await tailrace(["consume", "--from", "start", ...cluster.clientFlags(joins)]);
  assert.notEqual(status, 0);
  assert.match(err, /this node is not part of a cluster yet/);
});
