/**
 * What many seeds come to, and many seeds side by side in threads.
 *
 * Never: shares anything between two seeds.
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { runSeed, type SeedResult } from "./run.ts";

export interface Tally {
  readonly failed: { readonly seed: string; readonly invariant: string; readonly detail: string }[];
  readonly marks: Map<string, number>;
  seeds: number;
  events: number;
  virtualMs: number;
  acked: number;
  faults: number;
}

export const emptyTally = (): Tally => ({
  failed: [],
  marks: new Map(),
  seeds: 0,
  events: 0,
  virtualMs: 0,
  acked: 0,
  faults: 0,
});

/** Adds what one seed or one thread came to. */
export function addTo(tally: Tally, one: Tally): void {
  tally.failed.push(...one.failed);
  for (const [mark, count] of one.marks) tally.marks.set(mark, (tally.marks.get(mark) ?? 0) + count);
  tally.seeds += one.seeds;
  tally.events += one.events;
  tally.virtualMs += one.virtualMs;
  tally.acked += one.acked;
  tally.faults += one.faults;
}

export function tallyOf(result: SeedResult): Tally {
  const { seed, invariant, detail, events, virtualMs, acked, faults } = result;
  const failed = invariant === undefined ? [] : [{ seed, invariant, detail }];
  return { failed, marks: new Map(result.marks), seeds: 1, events, virtualMs, acked, faults };
}

interface Share {
  readonly first: number;
  readonly last: number;
  readonly step: number;
}

/** Runs seeds first … last in this many threads. */
export async function runSeeds(first: number, last: number, threads: number): Promise<Tally> {
  const shares = Array.from({ length: threads }, (_, at) => ({ first: first + at, last, step: threads }));
  const tally = emptyTally();
  for (const one of await Promise.all(shares.map(inThread))) addTo(tally, one);
  return tally;
}

function inThread(share: Share): Promise<Tally> {
  return new Promise((resolve, reject) => {
    // Node reads the types away by itself, and what a loader would add to it costs a third of the time.
    const worker = new Worker(new URL(import.meta.url), { workerData: share, execArgv: [] });
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", (code) => reject(new Error(`a thread of the simulator ended with ${code}`)));
  });
}

if (!isMainThread && parentPort !== null) {
  const { first, last, step } = workerData as Share;
  const tally = emptyTally();
  for (let seed = first; seed <= last; seed += step) addTo(tally, tallyOf(await runSeed(String(seed))));
  parentPort.postMessage(tally);
}
