/**
 * Three nodes: P5 (appends), P6 (failover), P7 (opening after SIGKILL) and catching up, each node a process of its
 * own. `npm run bench -- cluster P5` runs one of them; `P7-10GiB` and `catch-up-10GiB` only when asked for by name.
 *
 * Never: asserts anything.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NodeConnections } from "../support/chaos/clients/node-connections.ts";
import { Fleet, type FleetNode } from "../support/chaos/fleet.ts";
import { Operator } from "../support/chaos/operator.ts";
import { openOneNode } from "../support/one-node-log.ts";
import { failover, whole } from "./failover.ts";
import { paced } from "./paced.ts";
import { bulkRate, streamRate, unaryRate } from "./produce.ts";
import { median, report } from "./report.ts";

const GiB = 2 ** 30;
const batchRecords = 640;
/** What a record of the benchmarks takes in a bulk batch, about. */
const recordBytes = 104;

const targetOf = ({ addr }: FleetNode): { readonly port: number } => ({ port: Number(addr.split(":")[1]) });

/** Runs with a fresh cluster of so many nodes, and removes it. */
async function withFleet(
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
    await whole(operator);
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

/** A rate counts only if everything was taken. */
async function counted(operator: Operator, leader: FleetNode, records: number, rate: Promise<number>) {
  const before = (await operator.endOf(leader)) ?? 0;
  const value = await rate;
  const taken = ((await operator.endOf(leader)) ?? 0) - before;
  if (taken < records) throw new Error(`${taken} of ${records} records were taken`);
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

/** A node that was killed behind so many bytes: how long until it can take records again. */
async function opening(bytes: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "tailrace-bench-"));
  try {
    {
      await using fleet = await Fleet.open({ directory, names: ["n1"], proxied: false });
      using connections = new NodeConnections();
      await whole(new Operator(fleet, connections));
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
      if (opened.replica.storedLog.bounds.next === 0) throw new Error("there is nothing in it");
    }
    report({
      name: `P7 open ${bytes / GiB} GiB after SIGKILL until records are taken`,
      value: took[0]!,
      unit: "ms",
      bar: "150",
      note: `once more, after an orderly end, ${Math.round(median(took.slice(1)))} ms`,
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The timers of a log keep no process alive; somebody must. */
function keepAlive(): Disposable {
  const timer = setInterval(() => undefined, 1_000);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** A node comes back so many bytes behind, while the leader is offered half of what it can take. */
async function catchUp(fleet: Fleet, operator: Operator, bytes: number): Promise<void> {
  const leader = await leaderOf(operator);
  const target = targetOf(leader);
  const late = fleet.nodes.find((node) => node !== leader)!;
  await fleet.end(late, "SIGKILL");
  await bulkRate(target, batchRecords, Math.ceil(bytes / (batchRecords * recordBytes)));
  await streamRate(target, 1024, 128_000);
  const most = await streamRate(target, 1024, 256_000);
  const offered = Math.round(most / 2);
  const termBefore = await termOf(operator);
  const behind = (await operator.endOf(leader)) ?? 0;
  await fleet.start(late);
  const began = performance.now();
  let caughtUpMs: number | undefined;
  const watching = (async () => {
    while (caughtUpMs === undefined && performance.now() - began < 200_000) {
      const [end, head] = [await operator.endOf(late), await operator.endOf(leader)];
      if (end !== undefined && head !== undefined && head - end < offered / 10)
        caughtUpMs = performance.now() - began;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  const load = await paced(
    target,
    offered,
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
    name: "load kept meanwhile",
    value: load.rate,
    unit: "rec/s",
    ratio: { to: `the ${offered} offered`, value: load.rate / offered },
    note: `longest silence ${Math.round(load.worstGapMs)} ms`,
  });
}

const termOf = async (operator: Operator): Promise<number> =>
  Number((await operator.servers()).reduce((term, server) => (server.term > term ? server.term : term), 0n));

const cases: Readonly<Record<string, () => Promise<void>>> = {
  P5: () => withFleet(3, appends),
  P6: () => withFleet(3, (fleet, operator) => failover(fleet, operator, 20)),
  P7: () => opening(GiB),
  "P7-10GiB": () => opening(10 * GiB),
  "catch-up": () => withFleet(3, (fleet, operator) => catchUp(fleet, operator, 2 * GiB)),
  "catch-up-10GiB": () => withFleet(3, (fleet, operator) => catchUp(fleet, operator, 10 * GiB)),
};

export async function run(only: readonly string[]): Promise<void> {
  for (const [name, measure] of Object.entries(cases)) {
    const asked = only.length === 0 ? !name.endsWith("10GiB") : only.includes(name);
    if (asked) await measure();
  }
}
