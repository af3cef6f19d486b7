/** What a run must not exceed, and why. */
import type { NodeSample, Sample } from "./samples.ts";

export interface TrendBound {
  readonly name: string;
  readonly unit: string;
  /** The change in an hour that is allowed, relative to the mean; negative for a series that must not fall. */
  readonly perHour: number;
  /** The change that is allowed in any time, relative to the mean: the scatter of the series. */
  readonly scatter: number;
  readonly why: string;
  /** A change of less than this is not looked at, in the unit of the series. Default 0. */
  readonly negligible?: number;
  /** Depends on how much other work the machine has. */
  readonly isTime?: true;
}

/** A sample with a higher load is of a busy machine: each process waits for its turn. */
export const calmLoadMax = 1.5;

/** Compared at the same age of each life of a process, in the second half of the run. */
export const ageBounds: readonly (TrendBound & { readonly field: keyof NodeSample })[] = [
  {
    ...{ name: "RSS at the same age", field: "rssMiB", unit: "MiB", perHour: 0.1, scatter: 0.1 },
    why: "a restart frees all memory, so more at the same age means that more is on disk or that more is loaded from it",
  },
  {
    ...{ name: "descriptors at the same age", field: "descriptors", unit: "", perHour: 0.05, scatter: 0.1 },
    why: "connections and mapped segments: both are constant when retention is",
  },
  {
    ...{
      name: "data directory at the same age",
      field: "diskMiB",
      unit: "MiB",
      perHour: 0.05,
      scatter: 0.15,
    },
    why: "retention keeps the same time; a segment and the rows in flight are the scatter",
  },
];

/** Looked at in the longest lives of processes. */
export const lifeBounds: readonly (TrendBound & { readonly field: keyof NodeSample })[] = [
  {
    ...{ name: "RSS in a long life", field: "rssMiB", unit: "MiB", perHour: 0.2, scatter: 0.2 },
    why: "V8 lets the heap grow in steps before it collects; a leak of a record's bytes would be 100 % in a few minutes",
  },
  {
    ...{ name: "heap in a long life", field: "heapMiB", unit: "MiB", perHour: 0.2, scatter: 0.25 },
    why: "the lowest value still has garbage that no full collection has reached",
  },
  {
    ...{ name: "descriptors in a long life", field: "descriptors", unit: "", perHour: 0.05, scatter: 0.25 },
    why: "the file of a segment is opened when it is first read; one that is not closed with each client would be 100 % in minutes",
  },
  {
    ...{
      name: "memory of requests in a long life",
      field: "bufferedKiB",
      unit: "KiB",
      perHour: 0.2,
      scatter: 0.5,
      negligible: 1024,
    },
    why: "the budget is given back with each request; the lowest value is that of the tails that stay",
  },
];

/** Looked at in the second half of the run. */
export const runBounds: readonly (TrendBound & { readonly field: keyof Sample })[] = [
  {
    ...{
      name: "appends per second",
      field: "appendsPerSecond",
      unit: "/s",
      perHour: -0.05,
      scatter: 0.05,
      isTime: true,
    },
    why: "the rate is given; a busy machine sends less",
  },
  {
    ...{
      name: "append latency p50",
      field: "appendP50Ms",
      unit: "ms",
      perHour: 0.5,
      scatter: 1,
      isTime: true,
    },
    why: "a log that becomes slower with its history would double it again and again",
  },
  {
    ...{ name: "tail lag p50", field: "lagP50Ms", unit: "ms", perHour: 0.5, scatter: 1, isTime: true },
    why: "as the latency",
  },
  {
    ...{ name: "RSS of the clients", field: "clientRssMiB", unit: "MiB", perHour: 0.2, scatter: 0.2 },
    why: "the clients of the library live as long as the run",
  },
];

/** Highest values, with reasons. */
export const highest = {
  /** An election takes 1 to 3 s, a restart of the process not much longer; a busy machine several times as long. */
  stallMs: 20_000,
  /** As the stall. A tail whose node was killed finds out by the closed connection, and asks another node. */
  lagP99Ms: 20_000,
  /**
   * The median over the run of the longest delay of a timer between two samples. The promise is 50 ms for one request. Not checked on a
   * busy machine.
   */
  loopMsMedian: 100,
  /** The longest delay at all, after the first 15 s of a process. More is a stall, not a busy machine. */
  loopMs: 3_000,
} as const;
/** Ages below it do not count for loopMs: a start reads, checks and compiles. */
export const startSeconds = 15;
