/**
 * Clusters with one process per node: P5 (appends), P6 (failover), P7 (opening after SIGKILL) and catching up.
 * `npm run bench -- cluster P5` runs one of them. `P7-10GiB` and `catch-up-10GiB` run only if they are named.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NodeConnections } from "../chaos/clients/node-connections.ts";
import { Fleet, type FleetNode } from "../chaos/fleet.ts";
import { Operator } from "../chaos/operator.ts";
import { openOneNode } from "../support/log/one-node-log.ts";
import { failover, waitUntilWhole } from "./failover.ts";
import { paced } from "./load/paced.ts";
import { bulkRate, streamRate, unaryRate } from "./load/produce.ts";
import { median, report } from "./report.ts";

const GiB = 2 ** 30;
const batchRecords = 640;
/** Approximate size of a record in a bulk batch. */
const recordBytes = 104;

const targetOf = ({ addr }: FleetNode): { readonly port: number } => ({ port: Number(addr.split(":")[1]) });

/** Runs `work` with a new cluster of `count` nodes, and deletes the cluster. */
async function withCluster(
  count: number,
  work: (fleet: Fleet, operator: Operator) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "tailrace-bench-"));
  try {
    const names = Array.from({ length: count }, (_, n) => `n${n + 1}`);
    await using fleet = await Fleet.open({
      directory,
      names,
      proxied: false,
      flags: ["--log-level", "warn"],
    });
    using connections = new NodeConnections();
    const operator = new Operator(fleet, connections);
    await waitUntilWhole(operator);
    await work(fleet, operator);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function leaderOf(operator: Operator): Promise<FleetNode> {
  const leader = await operator.leader();
  if (leader === undefined) throw new Error("there is no leader");
  return leader;
}

/** Returns the rate. Throws if not all records were appended. */
async function counted(operator: Operator, leader: FleetNode, records: number, rate: Promise<number>) {
  const before = (await operator.endOf(leader)) ?? 0;
  const value = await rate;
  const appended = ((await operator.endOf(leader)) ?? 0) - before;
  if (appended < records) throw new Error(`${appended} of ${records} records were appended`);
  return value;
}

async function appends(fleet: Fleet, operator: Operator): Promise<void> {
  const leader = await leaderOf(operator);
  const target = targetOf(leader);
  const unary: number[] = [];
  const stream: number[] = [];
  for (let round = 0; round < 4; round++) {
    unary.push(await counted(operator, leader, 20_000, unaryRate(target, 64, 20_000)));
    stream.push(await counted(operator, leader, 128_000, streamRate(target, 1024, 128_000)));
  }
  const nodes = fleet.nodes.length;
  report({
    name: `P5 ${nodes} nodes: unary Produce 100 B, 64 in flight`,
    value: median(unary.slice(1)),
    unit: "req/s",
    bar: "17,000 (goal 30,000)",
  });
  report({
    name: `P5 ${nodes} nodes: one ProduceStream 100 B, window 1024`,
    value: median(stream.slice(1)),
    unit: "rec/s",
    bar: "100,000 (goal 500,000)",
  });
}

/** Measures how long a node with so many bytes takes to open after SIGKILL. */
async function opening(bytes: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "tailrace-bench-"));
  try {
    {
      await using fleet = await Fleet.open({ directory, names: ["n1"], proxied: false });
      using connections = new NodeConnections();
      await waitUntilWhole(new Operator(fleet, connections));
      const node = fleet.nodes[0]!;
      const batches = Math.ceil(bytes / (batchRecords * recordBytes));
      await bulkRate(targetOf(node), batchRecords, batches);
      await fleet.end(node, "SIGKILL");
    }
    const took: number[] = [];
    using _alive = keepAlive();
    await (await openOneNode(join(directory, "warm")))[Symbol.asyncDispose]();
    for (let round = 0; round < 4; round++) {
      const began = performance.now();
      await using opened = await openOneNode(join(directory, "n1"));
      took.push(performance.now() - began);
      if (opened.replica.storedLog.bounds.next === 0) throw new Error("the log is empty");
    }
    report({
      name: `P7 open ${bytes / GiB} GiB after SIGKILL until it accepts records`,
      value: took[0]!,
      unit: "ms",
      bar: "150",
      note: `after a clean stop ${Math.round(median(took.slice(1)))} ms`,
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Keeps the process running. The timers of a log do not. */
function keepAlive(): Disposable {
  const timer = setInterval(() => undefined, 1_000);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Measures how fast a node catches up while the leader receives half of its maximum load. */
async function catchUp(fleet: Fleet, operator: Operator, bytes: number): Promise<void> {
  const leader = await leaderOf(operator);
  const target = targetOf(leader);
  const late = fleet.nodes.find((node) => node !== leader)!;
  await fleet.end(late, "SIGKILL");
  await bulkRate(target, batchRecords, Math.ceil(bytes / (batchRecords * recordBytes)));
  await streamRate(target, 1024, 128_000);
  const most = await streamRate(target, 1024, 256_000);
  const rate = Math.round(most / 2);
  const termBefore = await termOf(operator);
  const behind = (await operator.endOf(leader)) ?? 0;
  await fleet.start(late);
  const began = performance.now();
  let caughtUpMs: number | undefined;
  const watching = (async () => {
    while (caughtUpMs === undefined && performance.now() - began < 200_000) {
      const [end, head] = [await operator.endOf(late), await operator.endOf(leader)];
      if (end !== undefined && head !== undefined && head - end < rate / 10)
        caughtUpMs = performance.now() - began;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  const load = await paced(
    target,
    rate,
    () => caughtUpMs !== undefined || performance.now() - began > 200_000,
  );
  await watching;
  const seconds = (caughtUpMs ?? Number.NaN) / 1000;
  report({
    name: `catch-up of ${bytes / GiB} GiB under half the leader's load`,
    value: (behind * recordBytes) / seconds / 1e6,
    unit: "MB/s",
    note: `${seconds.toFixed(1)} s, ${Math.round((await termOf(operator)) - termBefore)} elections`,
  });
  report({
    name: "load meanwhile",
    value: load.rate,
    unit: "rec/s",
    ratio: { to: `${rate} sent`, value: load.rate / rate },
    note: `longest gap ${Math.round(load.worstGapMs)} ms`,
  });
}

const termOf = async (operator: Operator): Promise<number> =>
  Number((await operator.servers()).reduce((term, server) => (server.term > term ? server.term : term), 0n));

const cases: Readonly<Record<string, () => Promise<void>>> = {
  P5: () => withCluster(3, appends),
  P6: () => withCluster(3, (fleet, operator) => failover(fleet, operator, 20)),
  P7: () => opening(GiB),
  "P7-10GiB": () => opening(10 * GiB),
  "catch-up": () => withCluster(3, (fleet, operator) => catchUp(fleet, operator, 2 * GiB)),
  "catch-up-10GiB": () => withCluster(3, (fleet, operator) => catchUp(fleet, operator, 10 * GiB)),
};

export async function run(only: readonly string[]): Promise<void> {
  for (const [name, measure] of Object.entries(cases)) {
    const isSelected = only.length === 0 ? !name.endsWith("10GiB") : only.includes(name);
    if (isSelected) await measure();
  }
}
