/** Takes samples: the metrics of each node's ops port, its data directory, and what the clients measured. */
import { lstat, readdir } from "node:fs/promises";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Fleet, FleetNode } from "../chaos/fleet.ts";
import { curl } from "../support/http/curl.ts";
import type { Ledger } from "./ledger.ts";
import type { Readers } from "./readers.ts";
import type { Restarts } from "./restarts.ts";
import type { NodeSample, Sample } from "./samples.ts";
import type { Writers } from "./writers.ts";

const MiB = 2 ** 20;
const resolution = 10;

export interface SamplerParts {
  readonly fleet: Fleet;
  readonly restarts: Restarts;
  readonly writers: Writers;
  readonly readers: Readers;
  readonly ledgers: readonly Ledger[];
}

export class Sampler {
  readonly #parts: SamplerParts;
  readonly #startMs = performance.now();
  readonly #delays = monitorEventLoopDelay({ resolution });
  #beforeMs = performance.now();
  #ackedBefore = 0;

  constructor(parts: SamplerParts) {
    this.#parts = parts;
    this.#delays.enable();
  }

  async take(): Promise<Sample> {
    const { fleet, writers, readers, ledgers } = this.#parts;
    const nodes = await Promise.all(fleet.nodes.map((node) => this.#sampleNode(node)));
    const nowMs = performance.now();
    const [latency, lag] = [writers.takeLatency(), readers.takeLag()];
    const appended = writers.acked - this.#ackedBefore;
    const seconds = (nowMs - this.#beforeMs) / 1_000;
    const clientLoopMs = Math.max(0, this.#delays.max / 1e6 - resolution);
    this.#delays.reset();
    [this.#ackedBefore, this.#beforeMs] = [writers.acked, nowMs];
    let behind = 0;
    for (const ledger of ledgers) {
      ledger.mark(Date.now());
      behind = Math.max(behind, ledger.behind);
    }
    const { rss, heapUsed } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    return {
      t: (nowMs - this.#startMs) / 1_000,
      nodes,
      appendsPerSecond: appended / seconds,
      appendP50Ms: latency.percentile(0.5),
      appendP99Ms: latency.percentile(0.99),
      appendMaxMs: latency.max,
      lagP50Ms: lag.percentile(0.5),
      lagP99Ms: lag.percentile(0.99),
      behind,
      clientRssMiB: rss / MiB,
      clientHeapMiB: heapUsed / MiB,
      clientLoopMs,
      clientCpu: (user + system) / 1e6,
      load: loadavg()[0]! / availableParallelism(),
    };
  }

  async #sampleNode(node: FleetNode): Promise<NodeSample | undefined> {
    const ops = this.#parts.restarts.opsOf(node);
    if (node.child === undefined || ops === undefined) return undefined;
    try {
      const { text } = await curl(`http://${ops}/metrics`);
      return {
        age: metric(text, "process_uptime"),
        rssMiB: metric(text, "process_memory_usage") / MiB,
        heapMiB: metric(text, "v8js_memory_heap_used") / MiB,
        descriptors: metric(text, "process_unix_file_descriptor_count"),
        diskMiB: (await bytesBelow(node.directory)) / MiB,
        loopMs: metric(text, "nodejs_eventloop_delay_max") * 1_000,
        loopP99Ms: metric(text, "nodejs_eventloop_delay_p99") * 1_000,
        cpu: metric(text, "process_cpu_time_total"),
        segments: metric(text, "tailrace_log_segments"),
        tails: metric(text, "tailrace_tails"),
        bufferedKiB: metric(text, "tailrace_memory_held") / 1024,
        leads: text.includes(`tailrace_cluster_leader{tailrace_node="${node.name}"} 1`) ? 1 : 0,
      };
    } catch {
      return undefined; // it is stopping or starting
    }
  }
}

/** The sum of the series of a metric in the text for Prometheus; NaN if there is none. */
function metric(text: string, name: string): number {
  const lines = text.split("\n").filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  if (lines.length === 0) return Number.NaN;
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

/** What the files below a directory occupy on the disk. A busy disk must not hold the clients in this process. */
async function bytesBelow(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    try {
      bytes += entry.isDirectory() ? await bytesBelow(path) : (await lstat(path)).blocks * 512;
    } catch {
      // It was removed meanwhile.
    }
  }
  return bytes;
}
