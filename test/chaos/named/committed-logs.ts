/**
 * The named logs that the frames of a stopped node make, deleted ones included. It is a model of its own: it reads the store
 * files and not the state of the node. The node must still have its first frame.
 *
 * In place of a batch that the node has settled, the same batch is taken from the files that were kept before (kept-stores.ts).
 */
import { globSync } from "node:fs";
import { join } from "node:path";
import { readWhole } from "../../../src/lib/disk/disk.ts";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import {
  batchKind,
  decodeRecord,
  frameBaseOffset,
  frameBytes,
  frameCommand,
  frameCrc,
  frameIndex,
  frameKind,
  frameLogId,
  frameRecordCount,
  RecordCursor,
} from "../../../src/log/mod.ts";
import type { StoredRecord } from "../checker.ts";
import { nameIn } from "../clients/values.ts";
import { CommittedCursors } from "./committed-cursors.ts";

/** All that was ever committed of a log. */
export interface CommittedLog {
  readonly id: number;
  readonly name: string;
  /** Also those that were trimmed, and those of the logs of which it is a fork. */
  readonly records: StoredRecord[];
  readonly fork: CommittedFork | undefined;
  /** The values of records below this offset are not known: no file has them any more. */
  unknownBelow: number;
  /** The node has settled batches up to this offset. */
  settledBelow: number;
  lowest: number;
  closed: boolean;
  /** Also a log that is kept for its forks: no client sees it. */
  deleted: boolean;
  /** Its last frame is there: nothing keeps its records any more. */
  removed: boolean;
}

/** Where a log was forked. */
export interface CommittedFork {
  readonly source: CommittedLog;
  /** The first offset that it shows, and the first one of its own records. */
  readonly lowest: number;
  readonly next: number;
}

export interface CommittedLogs {
  readonly logs: ReadonlyMap<number, CommittedLog>;
  readonly cursors: CommittedCursors;
  /** What is wrong with the frames. */
  readonly flaws: readonly string[];
  /** Batches that were settled, and those of them that no file has any more. */
  readonly settled: { readonly batches: number; readonly unknown: number };
}

/** `kept` returns the batch with a Raft index and a checksum, if a file was kept that has it. */
export function committedLogs(
  directory: string,
  kept: (index: number, crc: number) => Buffer | undefined = () => undefined,
): CommittedLogs {
  const model = new Model(kept);
  for (const file of globSync("log/*.store", { cwd: directory }).sort())
    for (const frame of framesIn(join(directory, file))) model.add(frame);
  return model;
}

/** The frames of a store file. The rest of an active file can be preallocated space. */
export function* framesIn(path: string): Generator<Buffer> {
  const bytes = Buffer.from(readWhole(systemDisk, path));
  for (let at = 0; at + 5 <= bytes.length && bytes.readUInt32BE(at + 1) > 0; at += frameBytes(bytes, at))
    yield bytes.subarray(at, at + frameBytes(bytes, at));
}

class Model implements CommittedLogs {
  readonly logs = new Map<number, CommittedLog>();
  readonly cursors = new CommittedCursors();
  readonly flaws: string[] = [];
  readonly settled = { batches: 0, unknown: 0 };
  readonly #kept: (index: number, crc: number) => Buffer | undefined;
  readonly #names = new Map<string, CommittedLog>();
  #last = 0;

  constructor(kept: (index: number, crc: number) => Buffer | undefined) {
    this.#kept = kept;
  }

  add(frame: Buffer): void {
    const index = frameIndex(frame, 0);
    if (index !== this.#last + 1) this.flaws.push(`index ${index} follows ${this.#last}`);
    this.#last = index;
    const id = frameLogId(frame, 0);
    if (id === 0 || this.cursors.add(frame)) return;
    if (frameKind(frame, 0) === batchKind.createLog) this.#created(id, frameCommand(frame, 0));
    else this.#changed(id, frame);
  }

  #created(id: number, command: Uint8Array): void {
    const { name, fork: stated } = jsonOf(command) as { readonly name: string; readonly fork?: StatedFork };
    const other = this.#names.get(name);
    if (this.logs.has(id)) this.flaws.push(`the id ${id} is given twice, now to ${name}`);
    if (other !== undefined) this.flaws.push(`the name ${name} means ${other.id} and ${id}`);
    const fork = stated === undefined ? undefined : this.#forked(id, stated);
    const next = fork?.next ?? 0;
    const log: CommittedLog = {
      id,
      name,
      records: fork?.source.records.slice(0, next) ?? [],
      fork,
      unknownBelow: Math.min(fork?.source.unknownBelow ?? 0, next),
      settledBelow: Math.min(fork?.source.settledBelow ?? 0, next),
      lowest: fork?.lowest ?? 0,
      closed: false,
      deleted: false,
      removed: false,
    };
    this.logs.set(id, log);
    this.#names.set(name, log);
  }

  #forked(id: number, { source: sourceId, lowest, next }: StatedFork): CommittedFork | undefined {
    const source = this.logs.get(sourceId);
    if (source === undefined || source.deleted) {
      this.flaws.push(`log ${id} is a fork of the log ${sourceId}, which is not there`);
      return undefined;
    }
    if (lowest !== source.lowest || next > source.records.length)
      this.flaws.push(
        `log ${id} is a fork of ${lowest} to ${next} of ${sourceId}, which has ${source.lowest} to ${source.records.length}`,
      );
    return { source, lowest, next };
  }

  /** Whether forks show records of the log. */
  #isForked(log: CommittedLog): boolean {
    for (const { fork, removed } of this.logs.values()) if (!removed && fork?.source === log) return true;
    return false;
  }

  #changed(id: number, frame: Buffer): void {
    const kind = frameKind(frame, 0);
    const log = this.logs.get(id);
    // The last frame of a log that was kept for its forks is a delete.
    const isLast = log?.deleted === true && !log.removed && kind === batchKind.deleteLog;
    if (log === undefined || (log.deleted && !isLast)) {
      this.flaws.push(`a batch of kind ${kind} is for the log ${id}, which is not there`);
      return;
    }
    const { length: next } = log.records;
    const base = frameBaseOffset(frame, 0);
    if (base !== next) this.flaws.push(`log ${id} continues at ${base}, not at ${next}`);
    if (kind === batchKind.data || kind === batchKind.settled) {
      if (log.closed) this.flaws.push(`log ${id} is closed and gets records at ${base}`);
      log.records.push(...(kind === batchKind.data ? recordsOf(frame) : this.#settledRecords(log, frame)));
    } else if (kind === batchKind.closeLog) log.closed = true;
    else if (kind === batchKind.trimLog) {
      const { from, to } = jsonOf(frameCommand(frame, 0)) as { readonly from: number; readonly to: number };
      if (from === log.lowest && to <= next) log.lowest = to;
      if (this.#isForked(log)) this.flaws.push(`log ${id} has forks and is trimmed to ${to}`);
    } else if (kind === batchKind.deleteLog || kind === batchKind.hideLog) {
      log.removed = kind === batchKind.deleteLog;
      if (log.removed && this.#isForked(log)) this.flaws.push(`log ${id} has forks and is removed`);
      if (!log.deleted) this.#names.delete(log.name);
      log.deleted = true;
    }
  }

  #settledRecords(log: CommittedLog, frame: Buffer): readonly StoredRecord[] {
    const index = frameIndex(frame, 0);
    const [base, count] = [frameBaseOffset(frame, 0), frameRecordCount(frame, 0)];
    log.settledBelow = base + count;
    this.settled.batches++;
    const whole = this.#kept(index, frameCrc(frame, 0));
    if (whole !== undefined) {
      const records = recordsOf(whole);
      if (records.length !== count || records[0]?.offset !== base)
        this.flaws.push(`log ${log.id} has another batch at ${base} than was settled`);
      return records;
    }
    this.settled.unknown++;
    log.unknownBelow = base + count;
    return Array.from({ length: count }, (_, n) => ({ offset: base + n, value: `settled ${index} ${n}` }));
  }
}

/** A fork as a create states it. */
interface StatedFork {
  readonly source: number;
  readonly lowest: number;
  readonly next: number;
}

const jsonOf = (command: Uint8Array): unknown => JSON.parse(Buffer.from(command).toString());

function recordsOf(frame: Uint8Array): StoredRecord[] {
  const found: StoredRecord[] = [];
  const cursor = new RecordCursor(frame, 0);
  while (cursor.next()) {
    const { value } = decodeRecord(cursor.frames, cursor.start, cursor.end);
    found.push({ offset: cursor.offset, value: nameIn(Buffer.from(value).toString()) });
  }
  return found;
}
