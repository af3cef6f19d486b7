/**
 * Appends of 100 bytes to one log, beside NATS JetStream, Redis Streams and etcd: one node, and three. Each server acknowledges
 * when the record is on disk, on three nodes on a majority of them. A server whose program is not installed is left out, with
 * a message. The servers run at the same time and are measured in turn, so that the load of the machine affects all alike.
 *
 *   npm run bench -- peers              one node, one on a file system with a journal (only as root), and three
 *   npm run bench -- peers three        one of them: one, journal or three
 *
 * BENCH_JSON names a file for all figures as JSON.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { JournaledDisk } from "./journaled-disk.ts";
import { compile, cpuSeconds, residentBytes } from "./load/server-process.ts";
import { median } from "./report.ts";
import { etcd } from "./servers/etcd.ts";
import type { AppendClient, PeerCluster } from "./servers/peer-cluster.ts";
import { nats, redis, tailrace } from "./servers/peer-clusters.ts";
import { findProgram } from "./servers/program.ts";

const rounds = 5;
const roundMs = 2_000;
const windows = [1, 64];
const answerMs = 60_000;
/** NATS does not answer before it has a leader. */
const connectMs = 5_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const noAnswer = (): never => {
  throw new Error("no answer");
};

/** What one round of one server gives. */
interface Round {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time of all nodes for an append. */
  readonly cpuMicros: number;
}

interface Figure extends Round {
  /** Of one run: its servers are compared. */
  readonly suite: string;
  readonly nodes: number;
  readonly inFlight: number;
  readonly server: string;
  readonly durability: string;
  /** Resident memory of all nodes after the last round. */
  readonly megabytes: number;
}

async function round(cluster: PeerCluster, client: AppendClient, inFlight: number): Promise<Round> {
  const times: number[] = [];
  const before = cpuOf(cluster);
  const began = performance.now();
  const worker = async (): Promise<void> => {
    for (let from = performance.now(); from < began + roundMs; ) {
      await client.append();
      const now = performance.now();
      times.push(now - from);
      from = now;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  const seconds = (performance.now() - began) / 1_000;
  times.sort((left, right) => left - right);
  const at = (share: number): number => times[Math.floor(times.length * share)] ?? Number.NaN;
  return {
    perSecond: times.length / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuMicros: ((cpuOf(cluster) - before) * 1e6) / times.length,
  };
}

const cpuOf = ({ programs }: PeerCluster): number =>
  programs.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);

/** Connects when the server has a leader. */
async function connected(cluster: PeerCluster): Promise<AppendClient> {
  const began = performance.now();
  for (;;) {
    let client: AppendClient | undefined;
    try {
      client = await Promise.race([cluster.connect(), pause(connectMs).then(noAnswer)]);
      await client.append();
      return client;
    } catch (error) {
      client?.close();
      const ended = cluster.programs.find((program) => program.hasExited());
      if (ended !== undefined) throw new Error(`${cluster.name} ended: ${ended.errors()}`);
      if (performance.now() - began > answerMs) throw error;
    }
    await pause(200);
  }
}

async function installed(directory: string, nodes: number): Promise<PeerCluster[]> {
  const place = (name: string): string => {
    const path = join(directory, name);
    mkdirSync(path);
    return path;
  };
  const clusters = [await tailrace(place("tailrace"), nodes)];
  const others = [
    ["nats-server", nats, "go install github.com/nats-io/nats-server/v2@latest"],
    ["etcd", etcd, "apt-get install etcd-server"],
    ...(nodes === 1 ? [["redis-server", redis, "apt-get install redis-server"] as const] : []),
  ] as const;
  for (const [program, open, how] of others) {
    const path = findProgram(program);
    if (path === undefined) console.log(`MISSING: ${program} is not installed and is left out (${how})`);
    else clusters.push(await open(path, place(program), nodes));
  }
  return clusters;
}

/** Medians of the rounds. The first one warms up. */
function medians(found: readonly Round[]): Round {
  const of = (field: keyof Round): number => median(found.slice(1).map((one) => one[field]));
  return { perSecond: of("perSecond"), p50Ms: of("p50Ms"), p99Ms: of("p99Ms"), cpuMicros: of("cpuMicros") };
}

async function compare(suite: string, nodes: number, place = tmpdir()): Promise<Figure[]> {
  const directory = mkdtempSync(join(place, "tailrace-bench-"));
  const clusters = await installed(directory, nodes);
  const figures: Figure[] = [];
  try {
    const clients = await Promise.all(clusters.map(connected));
    for (const inFlight of windows) {
      const found = clusters.map((): Round[] => []);
      for (let turn = 0; turn <= rounds; turn++) {
        for (const [at, cluster] of clusters.entries()) {
          found[at]?.push(await round(cluster, clients[at] as AppendClient, inFlight));
        }
      }
      for (const [at, { name, durability, programs }] of clusters.entries()) {
        const megabytes = programs.reduce((sum, { pid }) => sum + residentBytes(pid), 0) / 1e6;
        const figure = medians(found[at] ?? []);
        figures.push({ suite, nodes, inFlight, server: name, durability, megabytes, ...figure });
      }
    }
    for (const client of clients) client.close();
  } finally {
    for (const { programs } of clusters) {
      for (const program of programs) if (!program.hasExited()) await program.end("SIGKILL");
    }
    rmSync(directory, { recursive: true, force: true });
  }
  return figures;
}

/** Prints a table of Markdown. The ratios are of rates, Tailrace to the other. */
function show(figures: readonly Figure[]): void {
  const line = (cells: readonly string[]): void => console.log(`| ${cells.join(" | ")} |`);
  line([
    "nodes",
    "in flight",
    "server",
    "appends/s",
    "Tailrace is",
    "p50",
    "its p50",
    "p99",
    "CPU each",
    "memory",
  ]);
  line(Array.from({ length: 10 }, () => "---"));
  for (const figure of figures) {
    const { nodes, inFlight, server, durability, perSecond } = figure;
    const ours = figures.find((one) => one.nodes === nodes && one.inFlight === inFlight) as Figure;
    line([
      String(nodes),
      String(inFlight),
      `${server}, ${durability}`,
      perSecond.toFixed(0),
      ours === figure ? "" : `${(ours.perSecond / perSecond).toFixed(2)} of it`,
      `${figure.p50Ms.toFixed(2)} ms`,
      ours === figure ? "" : `${(ours.p50Ms / figure.p50Ms).toFixed(2)} of it`,
      `${figure.p99Ms.toFixed(2)} ms`,
      `${figure.cpuMicros.toFixed(0)} µs`,
      `${figure.megabytes.toFixed(0)} MB`,
    ]);
  }
}

export async function run(only: readonly string[]): Promise<void> {
  await compile();
  const figures: Figure[] = [];
  console.log(`load average before: ${(loadavg()[0] as number).toFixed(1)}`);
  for (const [name, nodes] of [
    ["one", 1],
    ["journal", 1],
    ["three", 3],
  ] as const) {
    if (only.length > 0 && !only.includes(name)) continue;
    using disk = name === "journal" ? JournaledDisk.mount() : undefined;
    if (name === "journal" && disk === undefined) {
      console.log("MISSING: a file system with a journal needs root, mkfs.ext4 and mount, and is left out");
      continue;
    }
    console.log(`${name}:`);
    const found = await compare(name, nodes, disk?.path);
    show(found);
    figures.push(...found);
  }
  const file = process.env["BENCH_JSON"];
  if (file !== undefined) writeFileSync(file, `${JSON.stringify(figures, undefined, 2)}\n`);
}
