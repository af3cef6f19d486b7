/** A member with a damaged disk serves no wrong bytes, takes no part, and comes back in the ways that it names. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { curl } from "../support/http/curl.ts";
import { type ClusterNode, processWait, TestCluster } from "../support/process/cluster.ts";
import { tailrace } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const flags = ["--segment-store-bytes-max", "2000"];
const upTo = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => `record ${at}`.padEnd(100, "."));

/** Appends ten records at a time, each batch after the last acknowledgment, so that there are enough segments. */
async function produce(cluster: TestCluster, node: ClusterNode, from: number, to: number): Promise<void> {
  using client = cluster.connect(node);
  for (let at = from; at < to; at += 10) {
    const records = upTo(at + 10)
      .slice(at)
      .map((value) => ({ value: Buffer.from(value) }));
    const { firstOffset } = await client.rpc.log.produceBatch({ records });
    assert.equal(Number(firstOffset), at);
  }
}

async function valuesOn(cluster: TestCluster, node: ClusterNode): Promise<string[]> {
  const words = ["consume", "--from", "start", "--format", "raw", ...cluster.clientFlags(node)];
  const { status, out, err } = await tailrace(words);
  assert.equal(status, 0, err);
  return out.trim().split("\n");
}

const stores = ({ directory }: ClusterNode): string[] =>
  readdirSync(join(directory, "log"))
    .filter((name) => name.endsWith(".store"))
    .sort();

/** Flips one bit of a record in a sealed segment near the middle of the log. Returns the record's number. */
function damage(node: ClusterNode): number {
  const names = stores(node);
  const file = join(node.directory, "log", names[Math.floor(names.length / 2)]!);
  const bytes = readFileSync(file);
  const at = bytes.indexOf("record ");
  assert.ok(names.length > 4 && at > 0);
  const number = Number(/^record (\d+)/.exec(bytes.toString("latin1", at, at + 20))?.[1]);
  bytes[at + 1]! ^= 4;
  writeFileSync(file, bytes);
  return number;
}

/** Waits until the process has exited by itself; resolves to the exit status. */
async function endOf(node: ClusterNode): Promise<number | null> {
  const { child } = node;
  if (child === undefined || child.exitCode !== null) return child?.exitCode ?? null;
  const [status] = (await once(child, "close")) as [number | null];
  return status;
}

async function comesBack(cluster: TestCluster, node: ClusterNode, count: number): Promise<void> {
  cluster.start(node);
  await cluster.whole();
  // Leadership may change once more, and a read then fails. A read that succeeds has all records.
  let values: string[] = [];
  await until(
    "the log can be read",
    async () => {
      values = await valuesOn(cluster, node);
      return true;
    },
    processWait,
  );
  assert.deepEqual(values, upTo(count));
}

test("a member with a damaged segment refuses to start, names two ways back, and recovers in both", async (t) => {
  const directory = scratch(t);
  const cluster = await TestCluster.open(t, directory, { flags });
  const leader = await cluster.leader();
  const [victim] = (await cluster.followers()) as [ClusterNode];
  await produce(cluster, leader, 0, 300);
  await cluster.whole();

  for (const way of ["repair", "empty"] as const) {
    assert.equal(await cluster.stop(victim), 0);
    damage(victim);
    const logged = victim.log.length;
    cluster.start(victim);
    assert.equal(await endOf(victim), 5);
    const words = victim.log.slice(logged);
    assert.match(words, /\.store is damaged at byte \d+ \(checksum\); nothing was changed/);
    assert.match(
      words,
      /one of 3 members of its cluster and takes no part[^\n]*start it with the same flags/,
    );
    // The other members continue without it, and it stays a member.
    await produce(
      cluster,
      await cluster.leader(),
      way === "repair" ? 300 : 320,
      way === "repair" ? 320 : 340,
    );
    const { voters } = await cluster.status(await cluster.leader());
    assert.deepEqual([...voters].sort(), ["n1", "n2", "n3"]);

    if (way === "repair") {
      const command = /tailrace (repair \S+[^\s.),])/.exec(words)![1]!.split(" ");
      const plan = await tailrace(command);
      assert.match(plan.out, /\.store \d+ cut bytes=\d+[\s\S]*meta 0 new-identity/);
      const done = await tailrace([...command, "--yes"]);
      assert.deepEqual([done.status, /repaired next=\d+ lost=\d+/.test(done.out)], [0, true], done.err);
    } else renameSync(victim.directory, `${victim.directory}-damaged`);
    await comesBack(cluster, victim, way === "repair" ? 320 : 340);
    const leading = await cluster.leader();
    await until(
      "the leader logs the promotion",
      () => new RegExp(`"member":"${victim.name}","change":"promoted"`).test(leading.log),
      processWait,
    );
    assert.match(leading.log, new RegExp(`"member":"${victim.name}","change":"replaced"`));
  }

  for (const node of cluster.nodes) await cluster.stop(node);
  const directories = cluster.nodes.map((node) => node.directory);
  const { out } = await tailrace(["verify", "--compare", ...directories]);
  assert.match(out, /^identical 0\.\./);
});

test("a repaired member of a cluster of two stays a member, and the other sends the cut entries", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t), { nodes: 2, flags });
  const [victim] = (await cluster.followers()) as [ClusterNode];
  await produce(cluster, await cluster.leader(), 0, 100);
  await cluster.whole();
  await cluster.stop(victim);
  damage(victim);
  cluster.start(victim);
  assert.equal(await endOf(victim), 5);
  assert.match(victim.log, /one of 2 members of its cluster[^\n]*: repair it with --yes and start it/);
  const done = await tailrace(["repair", victim.directory, "--yes"]);
  assert.deepEqual([done.status, /new-identity/.test(done.out)], [0, false], done.err);
  // The other member may still lead, and count on the cut entries.
  await comesBack(cluster, victim, 100);
});

test("a leader with a segment damaged while it runs serves no wrong bytes, and hands over when a follower needs them", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t), { flags });
  await produce(cluster, await cluster.leader(), 0, 300);
  await cluster.whole();
  // After a restart no node has the records in memory.
  for (const node of cluster.nodes) {
    await cluster.stop(node);
    cluster.start(node);
    await cluster.whole();
  }
  const leader = await cluster.leader();
  const [late] = (await cluster.followers()) as [ClusterNode];
  const number = damage(leader);
  const { status, text } = await curl(`${leader.url}/?offset=${number}`);
  assert.equal(status, 500, text);
  assert.match(text, /is damaged at byte/);
  assert.equal((await curl(`${leader.url}/?offset=0`)).status, 200);
  assert.equal((await curl(`${late.url}/?offset=${number}`)).status, 200);
  assert.match((await cluster.unready(leader)) ?? "", /damaged/);

  await cluster.stop(late, "SIGKILL");
  cluster.wipe(late);
  cluster.start(late);
  await until(
    "the wiped node has all records",
    async () => {
      return (await valuesOn(cluster, late)).length === 300;
    },
    processWait,
  );
  // The damaged node stays a member, and is not ready.
  await cluster.whole(undefined, [leader]);
  assert.notEqual((await cluster.leader()).name, leader.name);
  assert.match((await cluster.unready(leader)) ?? "", /damaged/);
  assert.equal(await cluster.stop(leader), 0);
  cluster.start(leader);
  assert.equal(await endOf(leader), 5);
  const repaired = await tailrace(["repair", leader.directory, "--yes"]);
  assert.equal(repaired.status, 0, repaired.err);
  await comesBack(cluster, leader, 300);
  assert.deepEqual(await valuesOn(cluster, late), upTo(300));
});
