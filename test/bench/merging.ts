/**
 * What merging of settled segments gives: the files and bytes of a log that keeps everything beside 999 that keep nothing, the
 * processor time of the merge, and cold reads of the log, before and after, against a log whose records are all there is.
 * In one process, in the temporary directory.
 *
 *   npm run bench -- merging          100 records of 10 kB in each of 1,000 logs: 1 GB
 *   npm run bench -- merging 20       20 records in each
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run as runOf } from "../support/log/logs.ts";
import { type OneNodeLog, openOneNode } from "../support/log/one-node-log.ts";
import { until } from "../support/until.ts";
import { median, report } from "./report.ts";
import { dropFromPageCache } from "./servers/program.ts";

const [logs, valueBytes, inFlight, reads] = [1_000, 10_000, 128, 21];
const mebibyte = 2 ** 20;
/** The log that keeps everything: one in the middle of all indexes. */
const kept = 500;
const nameOf = (log: number): string => `log-${String(log).padStart(4, "0")}`;
const noPass = { firstPassMs: 1e9 };
const pace = { firstPassMs: 1_500, nextPassMs: 1_000, restMs: 0 };
const idleMs = 10_000;

const open = (directory: string, settlePace: object): Promise<OneNodeLog> =>
  openOneNode(
    directory,
    {},
    { frameCacheBytesMax: 0, reserveBytes: 0, settleBytesPerSecond: 64 * mebibyte, settlePace },
  );

async function each(count: number, work: (k: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}

function filesOf(directory: string): { readonly files: number; readonly bytes: number } {
  const names = readdirSync(join(directory, "log")).filter((name) => /\.(store|index|logs)$/.test(name));
  return {
    files: names.length,
    bytes: names.reduce((sum, name) => sum + statSync(join(directory, "log", name)).size, 0),
  };
}

/** Fills a directory with so many logs, or only the one that keeps everything. All others are trimmed to their end. */
async function fill(directory: string, count: number, records: number): Promise<void> {
  const names = Array.from({ length: count }, (_, k) => nameOf(count === 1 ? kept : k));
  const trimmed = names.filter((name) => name !== nameOf(kept));
  const value = "tailrace ".repeat(valueBytes / 9 + 1).slice(0, valueBytes);
  await using log = await open(directory, noPass);
  await each(count, (k) => log.change({ kind: "create", name: names[k]!, settings: {} }));
  for (let n = 0; n < records; n++)
    await each(count, (k) => log.append(runOf(value), { log: { name: names[k]! } }));
  await each(trimmed.length, (k) => log.trim(records, { log: { name: trimmed[k]! } }));
  // The last of it is in a sealed segment.
  for (let bytes = 0; bytes < 64 * mebibyte; bytes += mebibyte / 2)
    await log.append(runOf("x".repeat(mebibyte / 2)));
}

/** Lets the log work until `done` has not changed for a while. Returns the processor time until the last change, in milliseconds. */
async function work(log: OneNodeLog, done: (log: OneNodeLog) => number): Promise<number> {
  const before = process.cpuUsage();
  let [seen, since, cpu] = [0, performance.now(), before];
  const isOver = (): boolean => {
    const now = done(log);
    if (now !== seen) [seen, since, cpu] = [now, performance.now(), process.cpuUsage(before)];
    return seen > 0 && performance.now() - since > idleMs;
  };
  await until("a pass is over", isOver, { limitMs: 600_000, everyMs: 20 });
  return (cpu.user + cpu.system) / 1000;
}

async function settle(directory: string): Promise<void> {
  await using log = await open(directory, { ...pace, mergedShare: 0 });
  await work(log, ({ storedLog }) => storedLog.settler!.totals.segments);
}

/** Returns the processor time of a pass that merges, and how many bytes were merged. */
async function merge(directory: string): Promise<{ readonly ms: number; readonly bytes: number }> {
  await using log = await open(directory, pace);
  const ms = await work(log, ({ storedLog }) => storedLog.settler!.merged.to);
  return { ms, bytes: log.storedLog.settler!.merged.bytes };
}

/** Reads all of the log, with an empty page cache. Returns the median in milliseconds. */
async function coldRead(directory: string): Promise<number> {
  const times: number[] = [];
  for (let read = 0; read < reads; read++) {
    await using log = await open(directory, noPass);
    dropFromPageCache(directory);
    const opened = log.replica.log.named.open({ name: nameOf(kept) });
    const { next } = await opened.bounds();
    const began = performance.now();
    using tail = opened.follow(0);
    while (tail.position < next) tail.take(mebibyte);
    times.push(performance.now() - began);
  }
  return median(times);
}

export async function run([records = "100"]: readonly string[]): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), "tailrace-bench-"));
  try {
    const [mixed, alone] = [join(home, "mixed"), join(home, "alone")];
    await fill(mixed, logs, Number(records));
    const whole = filesOf(mixed);
    await settle(mixed);
    const settled = filesOf(mixed);
    const settledMs = await coldRead(mixed);
    const { ms, bytes } = await merge(mixed);
    const merged = filesOf(mixed);
    const mergedMs = await coldRead(mixed);
    await fill(alone, 1, Number(records));
    const aloneMs = await coldRead(alone);
    for (const [name, { files, bytes: all }] of Object.entries({ whole, settled, merged }))
      report({ name: `files, ${name}`, value: files, unit: "files", note: `${(all / 1e6).toFixed(1)} MB` });
    report({ name: "processor time of the merge", value: (ms * mebibyte) / bytes, unit: "ms/MiB" });
    report({ name: "cold read, records alone", value: aloneMs, unit: "ms" });
    const to = "the read of records alone";
    for (const [name, value] of Object.entries({ settled: settledMs, merged: mergedMs }))
      report({
        name: `cold read, ${name}`,
        value,
        unit: "ms",
        bar: "0.7",
        ratio: { to, value: aloneMs / value },
      });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
