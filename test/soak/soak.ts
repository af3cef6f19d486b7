/**
 * One soak: a cluster of three real processes under a steady load of appends and tails, with restarts, backups and short sessions, and a
 * sample every few seconds. See README.md.
 */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openClient, type TailraceClient } from "../../src/client/mod.ts";
import { startCluster } from "../chaos/started-cluster.ts";
import { Backups } from "./backups.ts";
import { checkBytes, checkDirectories, checkNodes, checkTails } from "./final-check.ts";
import { Ledger } from "./ledger.ts";
import { logsOf, nodeFlags, type Plan, type SoakLog } from "./plan.ts";
import { Readers } from "./readers.ts";
import { Restarts } from "./restarts.ts";
import { Sampler } from "./sampler.ts";
import { csvHeader, csvLine, type Sample } from "./samples.ts";
import { openSessions, type SessionCounts } from "./short-sessions.ts";
import { Writers } from "./writers.ts";

export interface SoakReport {
  readonly rate: number;
  readonly acked: number;
  readonly appendFailures: Readonly<Record<string, number>>;
  readonly tailed: number;
  readonly checked: number;
  readonly restarts: number;
  readonly readyMs: readonly number[];
  readonly longestStallMs: number;
  readonly backups: Backups["made"];
  readonly sessions: SessionCounts;
  /** CPU seconds in each second of all processes together. */
  readonly cpu: number;
  /** What is wrong: lost, repeated and reordered records, failed restarts and backups. Empty after a good run. */
  readonly errors: readonly string[];
}

export interface SoakOptions {
  readonly plan: Plan;
  /** Where the CSV file, the logs of the nodes and the backups go. */
  readonly directory: string;
  readonly report: (line: string) => void;
}

/** Runs a soak. What it starts ends with `t`. */
export async function runSoak(
  t: { after(work: () => unknown): void },
  { plan, directory, report }: SoakOptions,
): Promise<{ readonly report: SoakReport; readonly samples: readonly Sample[] }> {
  mkdirSync(directory, { recursive: true });
  const {
    fleet,
    operator,
    directory: nodes,
  } = await startCluster(t, 3, {
    flags: nodeFlags(plan),
    proxied: false,
  });
  const client = openClient({ addrs: fleet.direct() });
  t.after(() => client[Symbol.dispose]());
  const logs = logsOf(plan);
  await createLogs(client, logs);
  report(`three nodes and ${logs.length} logs are ready`);

  const ledgers = new Map(logs.map(({ name }) => [name, new Ledger(name)]));
  const all = [...ledgers.values()];
  const writers = new Writers(client, logs, ledgers);
  const readers = new Readers(client, ledgers);
  readers.start(logs);
  const rate = plan.rate === "half" ? await measureHalf(writers, report) : plan.rate;

  const restarts = new Restarts(fleet, operator, plan);
  const backups = new Backups(fleet, directory);
  const sampler = new Sampler({ fleet, restarts, writers, readers, ledgers: all });
  const sessions: SessionCounts = { opened: 0, failed: {} };
  const stop = new AbortController();
  const errors: string[] = [];
  const isOver = (): boolean => stop.signal.aborted;
  const samples: Sample[] = [];
  const csv = join(directory, "soak.csv");
  writeFileSync(csv, `${csvHeader(fleet.nodes.length)}\n`);

  /** Does the work at each whole multiple of a time, and not twice at once. */
  const every = async (
    ms: number,
    offsetMs: number,
    work: (n: number) => Promise<unknown>,
  ): Promise<void> => {
    const began = performance.now();
    for (let n = 0; ; n++) {
      const wait = began + offsetMs + (n + 1) * ms - performance.now();
      await delay(Math.max(0, wait), undefined, { signal: stop.signal }).catch(() => undefined);
      if (isOver()) return;
      await work(n).catch((reason: unknown) => errors.push(String(reason)));
    }
  };
  const work = [
    writers.run({ perSecond: rate }, stop.signal),
    openSessions(fleet, logs, sessions, stop.signal),
    every(plan.sampleMs, 0, async () => {
      const sample = await sampler.take();
      samples.push(sample);
      await appendFile(csv, `${csvLine(sample)}\n`);
    }),
    every(plan.restartMs, 0, async (k) => {
      await restarts.restart(k);
      report(`${k + 1} restarts, ${writers.acked} records acknowledged, ${readers.records} read by tails`);
    }),
    // Between two restarts.
    every(plan.backupMs, -plan.restartMs / 3, (n) => backups.make(n)),
  ];
  await delay(plan.durationMs);
  stop.abort();
  await Promise.all(work);
  report("the load ends");
  await writers.settle();

  errors.push(...(await checkTails(all)));
  await readers.stop();
  errors.push(...(await checkBytes(client, logs)));
  const { records: checked, wrong } = await checkNodes(fleet, logs, ledgers);
  errors.push(...wrong, ...(await checkDirectories(fleet)));
  for (const { name } of fleet.nodes)
    copyFileSync(join(nodes, `${name}.log`), join(directory, `${name}.log`));
  errors.push(...all.flatMap(({ violations }) => violations));
  errors.push(...fleet.failures, ...restarts.failures, ...backups.failures, ...readers.failures);
  return {
    samples,
    report: {
      ...{ rate, acked: writers.acked, appendFailures: writers.failures, tailed: readers.records, checked },
      ...{
        restarts: restarts.readyMs.length,
        readyMs: restarts.readyMs,
        backups: backups.made,
        sessions,
        errors,
      },
      longestStallMs: writers.longestStallMs,
      cpu: cpuOf(samples),
    },
  };
}

async function createLogs(client: TailraceClient, logs: readonly SoakLog[]): Promise<void> {
  for (const { name, retentionAgeMs, retentionBytes } of logs)
    if (name !== "default") await client.logs.create(name, { retentionAgeMs, retentionBytes });
}

/** Appends as much as it can for a minute. Returns half of the rate of its last 40 seconds. */
async function measureHalf(writers: Writers, report: (line: string) => void): Promise<number> {
  const stop = AbortSignal.timeout(60_000);
  const running = writers.run({ inFlight: 2_000 }, stop);
  await delay(20_000);
  const [acked, began] = [writers.acked, performance.now()];
  await running;
  const rate = (writers.acked - acked) / ((performance.now() - began) / 1_000);
  report(`${Math.round(rate)} records/s without a limit`);
  await writers.settle();
  return rate / 2;
}

/** CPU time of the nodes, in all their lives, and of the clients, in each second. */
function cpuOf(samples: readonly Sample[]): number {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || last === first) return 0;
  let seconds = last.clientCpu - first.clientCpu;
  for (let n = 0; n < first.nodes.length; n++) {
    let before = first.nodes[n]?.cpu ?? 0;
    for (const { nodes } of samples.slice(1)) {
      const now = nodes[n]?.cpu;
      if (now === undefined) continue;
      seconds += now >= before ? now - before : now;
      before = now;
    }
  }
  return seconds / (last.t - first.t);
}
