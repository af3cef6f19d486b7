/** A member whose disk is damaged: it serves nothing wrong, takes no part, and comes back as it says how. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type ClusterNode, eventually, TestCluster } from "../support/cluster.ts";
import { curl } from "../support/curl.ts";
import { tailrace } from "../support/process.ts";
import { scratch } from "../support/scratch.ts";

const flags = ["--segment-store-bytes-max", "2000"];
const upTo = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => `record ${at}`.padEnd(100, "."));

/** Ten at a time, each acknowledged before the next: so there are segments enough. */
async function produce(cluster: TestCluster, node: ClusterNode, from: number, to: number): Promise<void> {
  using client = cluster.connect(node);
  for (let at = from; at < to; at += 10) {
    const records = upTo(at + 10)
      .slice(at)
      .map((value) => ({ value: Buffer.from(value) }));
    const { firstOffset } = await client.log.produceBatch({ records });
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

/** Flips one bit of a record in a sealed segment that is about in the middle of the log; answers the record's number. */
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

/** Waits until it has ended by itself; answers the status. */
async function endOf(node: ClusterNode): Promise<number | null> {
  const { child } = node;
  if (child === undefined || child.exitCode !== null) return child?.exitCode ?? null;
  const [status] = (await once(child, "close")) as [number | null];
  return status;
}

async function comesBack(cluster: TestCluster, node: ClusterNode, count: number): Promise<void> {
  cluster.start(node);
  await cluster.whole();
  // Leadership may change once more: a read then fails, and says so. One that succeeds has everything.
  let values: string[] = [];
  await eventually("it can be read", async () => {
    values = await valuesOn(cluster, node);
    return true;
  });
  assert.deepEqual(values, upTo(count));
}

test("a member with a damaged segment does not start, says what to do, and is whole again when that is done", async (t) => {
  const directory = scratch(t);
  const cluster = await TestCluster.open(t, directory, { flags });
  const leader = await cluster.leader();
  const [victim] = (await cluster.followers()) as [ClusterNode];
  await produce(cluster, leader, 0, 300);
  await cluster.whole();

  for (const way of ["repair", "empty"] as const) {
    assert.equal(await cluster.stop(victim), 0);
    damage(victim);
    const told = victim.log.length;
    cluster.start(victim);
    assert.equal(await endOf(victim), 5);
    const words = victim.log.slice(told);
    assert.match(words, /\.store is damaged at byte \d+ \(checksum\); nothing was changed/);
    assert.match(
      words,
      /one of 3 members of its cluster and takes no part[^\n]*start it with the same flags/,
    );
    // The others go on without it, and it stays a member.
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
    await eventually("the leader says so", () =>
      new RegExp(`"member":"${victim.name}","change":"promoted"`).test(leading.log),
    );
    assert.match(leading.log, new RegExp(`"member":"${victim.name}","change":"replaced"`));
  }

  for (const node of cluster.nodes) await cluster.stop(node);
  const directories = cluster.nodes.map((node) => node.directory);
  const { out } = await tailrace(["verify", "--compare", ...directories]);
  assert.match(out, /^identical 0\.\./);
});

test("one of two, repaired, keeps its place, and the other brings what was cut", async (t) => {
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
  // The other may still lead, and counts on what was cut.
  await comesBack(cluster, victim, 100);
});

test("a leader whose segment is damaged while it runs gives nobody wrong bytes, and hands over when a follower needs them", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t), { flags });
  await produce(cluster, await cluster.leader(), 0, 300);
  await cluster.whole();
  // Restarted, none of them has this in memory.
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
  await eventually("the wiped one has everything from another", async () => {
    return (await valuesOn(cluster, late)).length === 300;
  });
  await cluster.whole();
  assert.notEqual((await cluster.leader()).name, leader.name);
  assert.equal(await cluster.stop(leader), 0);
  cluster.start(leader);
  assert.equal(await endOf(leader), 5);
  const repaired = await tailrace(["repair", leader.directory, "--yes"]);
  assert.equal(repaired.status, 0, repaired.err);
  await comesBack(cluster, leader, 300);
  assert.deepEqual(await valuesOn(cluster, late), upTo(300));
});
