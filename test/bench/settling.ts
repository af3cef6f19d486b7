/**
 * What settling gives back: one log keeps everything beside 999 that keep a minute, under a steady load. Prints the bytes of the log,
 * those that can be read, and the delay of the event loop, and writes a graph.
 *
 *   npm run bench -- settling              10 minutes at 20 MB/s, which takes about 3 GB of disk; `settling 10 20` is the same
 *   npm run bench -- settling 2 5          2 minutes at 5 MB/s
 *   npm run bench -- settling 2 5 off      without settling: the disk takes everything
 */
import { lstatSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { openClient, type TailraceClient } from "../../src/client/mod.ts";
import { ProduceRequestSchema } from "../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../src/lib/envelope.ts";
import { drawGraph, type Line } from "../soak/svg.ts";
import { freePort } from "../support/process/free-port.ts";
import { until } from "../support/until.ts";
import { grpcHeaders, H2Client } from "./load/h2-client.ts";
import { paths } from "./load/messages.ts";
import { command, compile } from "./load/server-process.ts";
import { report } from "./report.ts";
import { nameOf, pipelined } from "./servers/log-server.ts";
import { type Program, startProgram } from "./servers/program.ts";

const [logs, valueBytes, keptMs] = [1_000, 10_000, 60_000];
const inFlightMax = 2_000;
const [tickMs, sampleMs] = [10, 5_000];
const diskBytesMax = 25e9;
const graphFile = "test/bench/settling.svg";
const MB = 1e6;
/** What the disk may hold beside records that can be read, bytes. */
const diskBytesBar = (liveBytes: number): number => 1.5 * liveBytes + 2 ** 30;
const delayMsBar = 20;

interface Sample {
  readonly minutes: number;
  readonly appendedBytes: number;
  readonly diskBytes: number;
  readonly liveBytes: number;
  readonly removedBytes: number;
  readonly delayP99Ms: number;
}

interface Node {
  readonly addr: string;
  readonly ops: string;
  readonly program: Program;
  readonly directory: string;
}

async function openNode(directory: string, settleRate: string): Promise<Node> {
  const [port, opsPort] = [await freePort(), await freePort()];
  const [addr, ops] = [`127.0.0.1:${port}`, `127.0.0.1:${opsPort}`];
  const program = startProgram(process.execPath, [
    ...[command, "serve", "--addr", addr, "--ops-addr", ops, "--data-dir", join(directory, "data")],
    ...["--settle-bytes-per-second", settleRate, "--log-level", "warn"],
  ]);
  await until("the node is ready", async () => {
    if (program.hasExited()) throw new Error(program.errors());
    return await fetch(`http://${ops}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  });
  return { addr, ops, program, directory };
}

/** Appends one record after the other to all logs in turn, at a steady rate. */
class Load {
  readonly #client: H2Client;
  readonly #requests: readonly Uint8Array[];
  readonly #timer: NodeJS.Timeout;
  #sent = 0;
  acked = 0;
  failed = 0;

  constructor(client: H2Client, perSecond: number) {
    this.#client = client;
    const value = Buffer.alloc(valueBytes, "tailrace ");
    this.#requests = Array.from({ length: logs }, (_, log) => {
      const message = create(ProduceRequestSchema, { record: { value }, log: nameOf(log) });
      return encodeEnvelope(toBinary(ProduceRequestSchema, message));
    });
    let due = 0;
    this.#timer = setInterval(() => {
      due = Math.min(due + (perSecond * tickMs) / 1_000, inFlightMax);
      for (; due >= 1 && this.#sent - this.acked - this.failed < inFlightMax; due--) this.#append();
    }, tickMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await until("all appends are answered", () => this.#sent === this.acked + this.failed);
    this.#client.close();
  }

  #append(): void {
    let isAcked = false;
    this.#client.request(headers, this.#requests[this.#sent++ % logs]!, {
      onData: (chunk) => {
        isAcked ||= chunk.length > 0;
      },
      onEnd: () => {
        if (isAcked) this.acked++;
        else this.failed++;
      },
    });
  }
}

const headers = grpcHeaders(paths.produce);

/** Bytes of the blocks of all files. Files come and go meanwhile. */
function diskBytesOf(directory: string): number {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" });
  const sizes = names.map((name) => lstatSync(join(directory, name), { throwIfNoEntry: false })?.blocks ?? 0);
  return 512 * sizes.reduce((sum, blocks) => sum + blocks, 0);
}

async function sampled(node: Node, client: TailraceClient, load: Load, sinceMs: number): Promise<Sample> {
  const text = await (await fetch(`http://${node.ops}/metrics`)).text();
  const metric = (name: string): number =>
    Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, "m").exec(text)?.[1] ?? Number.NaN);
  let liveBytes = 0;
  for await (const { bytes } of client.logs.list()) liveBytes += bytes ?? 0;
  return {
    minutes: (performance.now() - sinceMs) / 60_000,
    appendedBytes: load.acked * valueBytes,
    diskBytes: diskBytesOf(join(node.directory, "data")),
    liveBytes,
    removedBytes: metric("tailrace_log_removed"),
    delayP99Ms: metric("nodejs_eventloop_delay_p99") * 1_000,
  };
}

export async function run([minutes = "10", megabytes = "20", mode = "on"]: readonly string[]): Promise<void> {
  compile();
  const home = mkdtempSync(join(tmpdir(), "tailrace-bench-"));
  try {
    const node = await openNode(home, mode === "off" ? "0" : "64MiB");
    await using client = openClient({ addr: node.addr });
    const settings = (log: number) => (log === 0 ? {} : { retentionAgeMs: keptMs });
    await pipelined(logs, 64, (log) => client.logs.create(nameOf(log), settings(log)));
    const samples = await loaded(
      node,
      client,
      Number(minutes) * 60_000,
      (Number(megabytes) * MB) / valueBytes,
    );
    printed(samples);
    writeFileSync(graphFile, graphOf(samples, Number(megabytes), mode !== "off"));
    console.log(`the graph is ${graphFile}`);
    await node.program.end("SIGTERM");
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** Runs the load for so long, or until the disk holds too much. */
async function loaded(
  node: Node,
  client: TailraceClient,
  limitMs: number,
  perSecond: number,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const beganMs = performance.now();
  await using load = new Load(await H2Client.open({ port: Number(node.addr.split(":")[1]) }), perSecond);
  while (performance.now() - beganMs < limitMs) {
    await new Promise((resolve) => setTimeout(resolve, sampleMs));
    const sample = await sampled(node, client, load, beganMs);
    samples.push(sample);
    if (sample.diskBytes > diskBytesMax) break;
  }
  report({ name: "appends refused", value: load.failed, unit: "" });
  return samples;
}

function printed(samples: readonly Sample[]): void {
  const last = samples.at(-1)!;
  const { minutes, appendedBytes } = last;
  report({ name: `appended in ${minutes.toFixed(1)} minutes`, value: appendedBytes / MB, unit: "MB" });
  report({ name: "rate", value: appendedBytes / MB / (60 * minutes), unit: "MB/s" });
  report({ name: "bytes of records that can be read", value: last.liveBytes / MB, unit: "MB" });
  report({ name: "bytes of removed records, as counted", value: last.removedBytes / MB, unit: "MB" });
  const highest = Math.max(...samples.map(({ diskBytes }) => diskBytes));
  report({ name: "disk at the end, with the reserves", value: last.diskBytes / MB, unit: "MB" });
  report({ name: "disk at its highest", value: highest / MB, unit: "MB" });
  const over = Math.max(...samples.map(({ diskBytes, liveBytes }) => diskBytes - diskBytesBar(liveBytes)));
  const note = over <= 0 ? "always under the bar" : `beyond the bar by ${(over / MB).toFixed(0)} MB at worst`;
  report({ name: "bar of the disk at the end", value: diskBytesBar(last.liveBytes) / MB, unit: "MB", note });
  const delays = samples.map(({ delayP99Ms }) => delayP99Ms).toSorted((less, more) => less - more);
  const middle = delays[Math.floor(delays.length / 2)]!;
  const name = "delay of the event loop, p99, median of samples";
  report({ name, value: middle, unit: "ms", bar: `${delayMsBar}` });
  report({ name: "delay of the event loop, p99, worst sample", value: delays.at(-1)!, unit: "ms" });
}

function graphOf(samples: readonly Sample[], megabytes: number, isOn: boolean): string {
  const line = (name: string, color: string, of: (sample: Sample) => number): Line => ({
    name,
    color,
    points: samples.map((sample) => ({ x: sample.minutes, y: of(sample) })),
  });
  const live = line("can be read", "#15803d", ({ liveBytes }) => liveBytes / MB);
  return drawGraph({
    title: `Settling ${isOn ? "on" : "off"}: one log keeps everything, ${logs - 1} keep a minute`,
    subtitle: `${megabytes} MB/s of records of ${valueBytes} bytes, one node and its clients on one machine`,
    minutes: samples.at(-1)!.minutes,
    panels: [
      {
        ...{ title: "Appended, on disk, can be read", unit: "MB" },
        lines: [
          line("appended", "#6b7785", ({ appendedBytes }) => appendedBytes / MB),
          line("disk", "#c2410c", ({ diskBytes }) => diskBytes / MB),
          live,
        ],
      },
      {
        ...{ title: "On disk, removed records, can be read", unit: "MB" },
        lines: [
          line("disk", "#c2410c", ({ diskBytes }) => diskBytes / MB),
          line("removed", "#2563c9", ({ removedBytes }) => removedBytes / MB),
          live,
        ],
      },
      {
        ...{ title: "Event-loop delay, p99 between two samples", unit: "ms", scale: "log" },
        lines: [line("p99", "#4338ca", ({ delayP99Ms }) => delayP99Ms)],
      },
    ],
  });
}
