/** Backups in a bucket of a real S3 server: SIGKILL at each step of a backup and of a restore, a leader that dies, a full disk. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { prng } from "../../src/lib/prng.ts";
import { systemClock } from "../../src/lib/time/clock.ts";
import { openS3Store } from "../../src/objects/s3/open-s3-store.ts";
import { SmallDisk } from "../support/disk/small-disk.ts";
import { FaultyProxy, type Seen } from "../support/objects/faulty-proxy.ts";
import { keysOf } from "../support/objects/object-store-contract.ts";
import { openS3Server, type S3Server } from "../support/objects/s3-server.ts";
import { type ClusterNode, processWait, TestCluster } from "../support/process/cluster.ts";
import { ended, startCommand, tailrace } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

let server: S3Server;
let proxy: FaultyProxy;
before(async () => {
  server = await openS3Server();
  proxy = await FaultyProxy.open(server.endpoint);
  // Commands and nodes inherit them.
  Object.assign(process.env, server.environment, { AWS_ENDPOINT_URL_S3: proxy.endpoint });
});
after(async () => {
  await proxy[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const storeAt = (url: string) =>
  openS3Store(url, { flags: {}, environment: server.environment, clock: systemClock, random: prng(1) });
const json = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;
/** A step is a request in the place of a case. */
type Step = readonly [name: string, matches: (request: Seen) => boolean];
const inPlace = ({ path }: Seen, place: string): boolean => path.includes(`/${place}/`);

/** Runs a command until it sends the request of a step, and kills it then: before the server has the request, or after. */
async function killAt(
  args: readonly string[],
  place: string,
  [name, matches]: Step,
  isAfter: boolean,
): Promise<void> {
  const child = startCommand(args);
  const result = ended(child);
  let isKilled = false;
  const before = proxy.trouble;
  proxy.trouble = (request) => {
    if (!inPlace(request, place) || isKilled || !matches(request)) return before(request);
    isKilled = true;
    if (isAfter) return { kind: "lost-answer", done: () => child.kill("SIGKILL") };
    child.kill("SIGKILL");
    return { kind: "cut" };
  };
  const { signal, err } = await result;
  assert.equal(signal, "SIGKILL", `${name}: ${err}`);
}

const put =
  (part: string) =>
  ({ method, path }: Seen) =>
    method === "PUT" && path.includes(part);
const backupSteps: readonly Step[] = [
  ["the lock", put("/lock")],
  ["the begin of an upload", ({ method, path }) => method === "POST" && path.includes("uploads")],
  ["a part", ({ path }) => path.includes("partNumber=2")],
  ["the end of an upload", ({ method, path }) => method === "POST" && path.includes("?uploadId=")],
  ["the snapshot", put("/backups/")],
  [
    "the release of the lock",
    (request) => put("/lock")(request) && request.headers["if-match"] !== undefined,
  ],
];

test("SIGKILL at a step of a backup or a restore: the next one is whole, and nothing is left over", async (t) => {
  const directory = scratch(t);
  const flags = ["--segment-store-bytes-max", "10000000"];
  const cluster = await TestCluster.open(t, directory, { nodes: 1, flags });
  const [one] = cluster.nodes as [ClusterNode];
  const input = `${"x".repeat(100_000)}\n`.repeat(120);
  const produced = await tailrace(["produce", ...cluster.clientFlags(one)], { input });
  assert.equal(produced.status, 0, produced.err);
  const backup = (place: string) => [
    "backup",
    `s3://logs/${place}`,
    "--keep",
    "1",
    ...cluster.clientFlags(one),
  ];

  const cases = backupSteps.flatMap((step, n) => [
    { step, isAfter: false, place: `before-${n}` },
    { step, isAfter: true, place: `after-${n}` },
  ]);
  for (const { step, isAfter, place } of cases) await killAt(backup(place), place, step, isAfter);
  // Each waits until the lock of the dead writer has been the same for long enough.
  const results = await Promise.all(cases.map(({ place }) => tailrace(backup(place))));
  for (const [n, { place, step }] of cases.entries()) {
    const { status, out, err } = results[n]!;
    assert.equal(status, 0, `${step[0]}: ${err}`);
    const store = storeAt(`s3://logs/${place}`);
    const keys = await keysOf(store);
    assert.equal(await store.removeUnfinished(), 0, place);
    assert.equal(keys.filter((key) => key.startsWith("backups/")).length, 1, place);
    assert.equal(keys.length, 2 + Number(json(out)["files"]), `${place}: ${keys.join(" ")}`);
  }
  const places = cases.map(({ place }) => `s3://logs/${place}`);
  const verified = await tailrace(["verify", ...places]);
  assert.equal(verified.status, 0, verified.err);
  assert.equal(verified.out.match(/^ok records=120 /gm)?.length, places.length);

  // Restores.
  const [source = ""] = places;
  const place = cases[0]!.place;
  const restoreSteps: readonly Step[] = [
    ["the list", ({ path }) => path.includes("list-type")],
    ["the snapshot", ({ path }) => path.includes("/backups/")],
    ["the first range", ({ path, headers }) => path.includes(".frames") && headers.range !== "bytes=0-0"],
    ["a later range", ({ headers }) => /^bytes=[1-9]/.test(headers.range ?? "")],
  ];
  for (const [n, step] of restoreSteps.entries()) {
    // The list names no object.
    const data = join(directory, `data-${n}`);
    const args = ["restore", source, "--data-dir", data];
    const [name, matches] = step;
    await killAt(args, n === 0 ? "logs" : place, [name, matches], n % 2 === 1);
    if (existsSync(data)) assert.equal((await tailrace(["verify", data])).status, 1, name);
    const restored = await tailrace(args);
    assert.equal(restored.status, 0, `${name}: ${restored.err}`);
    assert.equal(json(restored.out)["next"], 120);
    assert.match((await tailrace(["verify", data])).out, /^ok records=120 /m);
  }

  // A disk without room for the log.
  const small = SmallDisk.mount(join(directory, "small"), 8_000_000);
  if (small === undefined) return t.diagnostic("a small disk cannot be mounted here");
  using _ = small;
  const full = await tailrace(["restore", source, "--data-dir", join(small.path, "data")]);
  assert.equal(full.status, 1, full.err);
  assert.match(full.err, /no space left|the disk is full/i);
  assert.deepEqual(readdirSync(small.path), []);
});

test("another leader goes on with the backups of one that was killed, and a lost node begins with the newest", async (t) => {
  const url = "s3://logs/cluster";
  const flags = [
    "--backup-to",
    url,
    "--backup-every",
    "2s",
    "--backup-keep",
    "2",
    "--segment-store-bytes-max",
    "2000",
  ];
  const cluster = await TestCluster.open(t, scratch(t), { flags });
  const produce = async (node: ClusterNode, count: number): Promise<void> => {
    const input = Array.from({ length: count }, (_, at) => `${at} ${"x".repeat(100)}\n`).join("");
    const { status, err } = await tailrace(["produce", "--batch", "10", ...cluster.clientFlags(node)], {
      input,
    });
    assert.equal(status, 0, err);
  };
  const holds = async (next: number): Promise<boolean> =>
    (await tailrace(["verify", url])).out.includes(` next=${next} `);
  const wait = { limitMs: 240_000, everyMs: 500 };
  const first = await cluster.leader();
  await produce(first, 200);
  await until("a backup has the first records", () => holds(200), wait);

  // The leader dies while it uploads.
  let isKilled = false;
  proxy.trouble = ({ method, path }) => {
    if (isKilled || method !== "PUT" || !path.includes("/files/")) return undefined;
    isKilled = true;
    return { kind: "lost-answer", done: () => first.child?.kill("SIGKILL") };
  };
  await produce(first, 100);
  await until("the leader is dead", () => first.child === undefined, wait);
  proxy.trouble = () => undefined;
  const second = await until("another node leads", async () => await cluster.leader(), processWait);
  assert.notEqual(second, first);
  await produce(second, 10);
  await until("a backup has all records", () => holds(310), wait);
  assert.match(second.log, /backup completed/);

  // The killed node lost its disk.
  cluster.wipe(first);
  first.flags = [...first.flags, "--restore-from", url];
  cluster.start(first);
  await cluster.whole();
  assert.match(first.log, /restored a backup/);
  const { out } = await tailrace([
    "consume",
    "--from",
    "start",
    "--format",
    "raw",
    ...cluster.clientFlags(first),
  ]);
  assert.equal(out.trim().split("\n").length, 310);
  // A backup directory that was restored once is not touched again.
  await cluster.stop(first);
  cluster.start(first);
  await cluster.whole();
  assert.equal(first.log.match(/restoring a backup/g)?.length, 1);
});
