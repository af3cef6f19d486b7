/** Sums up the results of many seeds, and runs many seeds in threads. Seeds share no state. */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { runSeed, type SeedResult } from "./run.ts";

export interface RunSummary {
  readonly failed: { readonly seed: string; readonly invariant: string; readonly detail: string }[];
  readonly marks: Map<string, number>;
  seeds: number;
  events: number;
  virtualMs: number;
  acked: number;
  faults: number;
}

export const emptySummary = (): RunSummary => ({
  failed: [],
  marks: new Map(),
  seeds: 0,
  events: 0,
  virtualMs: 0,
  acked: 0,
  faults: 0,
});

/** Adds the result of one seed or one thread. */
export function addTo(summary: RunSummary, one: RunSummary): void {
  summary.failed.push(...one.failed);
  for (const [mark, count] of one.marks) summary.marks.set(mark, (summary.marks.get(mark) ?? 0) + count);
  summary.seeds += one.seeds;
  summary.events += one.events;
  summary.virtualMs += one.virtualMs;
  summary.acked += one.acked;
  summary.faults += one.faults;
}

export function summaryOf(result: SeedResult): RunSummary {
  const { seed, invariant, detail, events, virtualMs, acked, faults } = result;
  const failed = invariant === undefined ? [] : [{ seed, invariant, detail }];
  return { failed, marks: new Map(result.marks), seeds: 1, events, virtualMs, acked, faults };
}

interface Share {
  readonly first: number;
  readonly last: number;
  readonly step: number;
}

/** Runs the seeds first … last in `threads` threads. */
export async function runSeeds(first: number, last: number, threads: number): Promise<RunSummary> {
  const shares = Array.from({ length: threads }, (_, at) => ({ first: first + at, last, step: threads }));
  const summary = emptySummary();
  for (const one of await Promise.all(shares.map(inThread))) addTo(summary, one);
  return summary;
}

function inThread(share: Share): Promise<RunSummary> {
  return new Promise((resolve, reject) => {
    // Node strips the types itself. A loader would take a third of the time more.
    const worker = new Worker(new URL(import.meta.url), { workerData: share, execArgv: [] });
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", (code) => reject(new Error(`a thread of the simulator ended with ${code}`)));
  });
}

if (!isMainThread && parentPort !== null) {
  const { first, last, step } = workerData as Share;
  const summary = emptySummary();
  for (let seed = first; seed <= last; seed += step) addTo(summary, summaryOf(await runSeed(String(seed))));
  parentPort.postMessage(summary);
}
