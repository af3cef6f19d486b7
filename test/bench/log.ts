/**
 * The log of a one-node cluster: appends of 1, 64 and 640 records, synced and not synced, and sequential and random
 * reads. Each figure is a ratio to the same bytes by write, fdatasync and pread in the same run, in alternating rounds.
 */
import { closeSync, fdatasyncSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { ReplicatedLog } from "../../src/replication/replicated-log.ts";
import { run as makeRun } from "../support/log/logs.ts";
import { openOneNode } from "../support/log/one-node-log.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { median, report } from "./report.ts";

const rounds = 5;
const roundMs = 150;

export async function run(only: readonly string[]): Promise<void> {
  const isSelected = (name: string): boolean => only.length === 0 || only.includes(name);
  using scratch = scratchDirectory();
  if (isSelected("append")) {
    for (const bytes of [100, 1024]) {
      for (const records of [1, 64, 640]) await append(scratch.path, bytes, records, "always");
    }
    for (const bytes of [100, 1024]) {
      for (const records of [1, 64, 640]) await append(scratch.path, bytes, records, "never");
    }
    await concurrent(scratch.path, 100, 64);
  }
  if (isSelected("read")) await reads(scratch.path);
}

let serial = 0;
const fresh = (directory: string): string => join(directory, `${serial++}`);

/** One append in progress at a time. */
async function append(
  directory: string,
  bytes: number,
  records: number,
  sync: "always" | "never",
): Promise<void> {
  await using opened = await openOneNode(fresh(directory), {}, { sync });
  const batch = makeRun(...Array.from({ length: records }, () => "x".repeat(bytes)));
  const raw = new RawFile(fresh(directory));
  const [ours, limit] = await alternate(
    () => opened.replica.log.append(batch),
    () => raw.append(batch.bytes, sync === "always"),
  );
  raw.close();
  report({
    name: `append ×${records} of ${bytes} B, ${sync === "always" ? "synced" : "not synced"}`,
    value: ours * records,
    unit: "records/s",
    ratio: { to: sync === "always" ? "write+fdatasync" : "write", value: ours / limit },
  });
}

/** Many single records in progress, which group commit combines. */
async function concurrent(directory: string, bytes: number, inFlight: number): Promise<void> {
  await using opened = await openOneNode(fresh(directory));
  const one = makeRun("x".repeat(bytes));
  const raw = new RawFile(fresh(directory));
  const same = new Uint8Array(one.bytes.length * inFlight);
  const [ours, limit] = await alternate(
    () => Promise.all(Array.from({ length: inFlight }, () => opened.replica.log.append(one))),
    () => raw.append(same, true),
  );
  raw.close();
  report({
    name: `append ×1 of ${bytes} B, ${inFlight} in flight, synced`,
    value: ours * inFlight,
    unit: "records/s",
    ratio: { to: "write+fdatasync", value: ours / limit },
  });
}

async function reads(directory: string): Promise<void> {
  const place = fresh(directory);
  const records = 640;
  const batch = makeRun(...Array.from({ length: records }, () => "x".repeat(100)));
  const batches = 2000;
  // The frame cache is off, so every slice comes from the segments.
  await using opened = await openOneNode(place, {}, { frameCacheBytesMax: 0 });
  for (let n = 0; n < batches; n++) await opened.replica.log.append(batch);
  const raw = new RawFile(fresh(directory));
  for (let n = 0; n < batches; n++) raw.append(batch.bytes, false);
  const chunk = 256 * 1024;
  await sequential(opened.replica.log, raw, batches * records, chunk);
  await random(opened.replica.log, raw, batches, records, batch.bytes.length);
  raw.close();
}

async function sequential(log: ReplicatedLog, raw: RawFile, total: number, chunk: number): Promise<void> {
  let at = 0;
  let bytes = 0;
  let taken = 0;
  let tail = log.follow(0);
  const [ours, limit, checked] = await alternate(
    () => {
      const slice = tail.take(chunk);
      if (slice === undefined) {
        tail = log.follow(0);
        return;
      }
      bytes += slice.frames.length;
      taken++;
    },
    () => {
      at = raw.read(chunk, at) < chunk ? 0 : at + chunk;
    },
    () => {
      at = raw.readChecked(chunk, at) < chunk ? 0 : at + chunk;
    },
  );
  const share = bytes / taken / chunk;
  report({
    name: "sequential read, 100 B records, 256 KiB at a time",
    value: (ours * bytes) / taken / ((raw.size / total) * 1),
    unit: "records/s",
    ratio: { to: "pread+CRC", value: (ours * share) / checked! },
    note: `${((ours * share) / limit).toFixed(2)} of pread`,
  });
}

async function random(
  log: ReplicatedLog,
  raw: RawFile,
  batches: number,
  records: number,
  length: number,
): Promise<void> {
  let seed = 1;
  const next = (): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return seed % batches;
  };
  const [ours, limit, checked] = await alternate(
    () => log.log.reader.read(next() * records + 7),
    () => raw.read(length, next() * length),
    () => raw.readChecked(length, next() * length),
  );
  report({
    name: `random read of one batch of ${records} × 100 B`,
    value: ours,
    unit: "batches/s",
    ratio: { to: "pread+CRC", value: ours / checked! },
    note: `${(ours / limit).toFixed(2)} of pread`,
  });
}

/** Returns the calls per second of each work, measured in alternating rounds: the median of the rounds. */
async function alternate(...works: readonly (() => unknown)[]): Promise<[number, number, number?]> {
  const rates = works.map(() => [] as number[]);
  for (const work of works) await during(20, work);
  for (let round = 0; round < rounds; round++) {
    for (const [n, work] of works.entries()) rates[n]!.push(await during(roundMs, work));
  }
  return rates.map(median) as [number, number, number?];
}

async function during(ms: number, work: () => unknown): Promise<number> {
  const started = performance.now();
  let calls = 0;
  let elapsed = 0;
  while (elapsed < ms) {
    const result = work();
    if (result instanceof Promise) await result;
    calls++;
    elapsed = performance.now() - started;
  }
  return (calls / elapsed) * 1000;
}

class RawFile {
  readonly #descriptor: number;
  size = 0;

  constructor(path: string) {
    this.#descriptor = openSync(path, "w+");
  }

  append(bytes: Uint8Array, sync: boolean): void {
    this.size += writeSync(this.#descriptor, bytes, 0, bytes.length, this.size);
    if (sync) fdatasyncSync(this.#descriptor);
  }

  /** Reads into a new buffer each time, like a reader that passes its buffer on. */
  read(length: number, position: number): number {
    return readSync(this.#descriptor, Buffer.allocUnsafeSlow(length), 0, length, position);
  }

  readChecked(length: number, position: number): number {
    const target = Buffer.allocUnsafeSlow(length);
    const count = readSync(this.#descriptor, target, 0, length, position);
    crc32(target);
    return count;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
