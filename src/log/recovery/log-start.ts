/**
 * Checks a value from outside that should be the start of a log: in a leader's snapshot or a backup. Pure.
 *
 * A start comes without frames that could contradict it, so every number in it is checked here.
 */
import { Fault } from "../../fault.ts";
import { readBase } from "../../rows/mod.ts";
import type { RaftIndex } from "../../types.ts";
import type { ChainEnd } from "../frame/chain.ts";
import { checkSettings, type LogSettings } from "../frame/command.ts";
import { subjectBytesMax, termMax } from "../frame/frame.ts";
import { checkedSettings, isOwner, logNameBytesMax } from "../frame/log-command.ts";
import { sourceOf } from "../rows/base-files.ts";
import type { BaseRef, LogStart, StartRows } from "../segment/catalog.ts";
import type { LogRow } from "../state/log-row.ts";
import type { StateCheckpoint, StoredConfiguration } from "../state/log-state.ts";
import { batchesPerProducerMax, type ProducerRow } from "../state/produced-batch.ts";
import { decodeHead, decodeRow, emptyHead, type TableHead } from "../state/row-codec.ts";
import { SeenNames } from "./seen-names.ts";

/** More than the rows of all ids with the longest names take in practice. */
const baseBytesMax = 2 ** 36;
/** Rows that are checked in one step. A block of a base file has a thousand. */
const stepRows = 64;
/** Ids of producers have 64 bits. */
const producerIdMax = 2n ** 64n - 1n;

/**
 * Returns the value as a LogStart.
 * @throws Fault "corrupt" with the part that is wrong
 */
export function checkLogStart(value: unknown): LogStart {
  const start = checkStartFields(value);
  for (const _ of checkStartRows(start));
  return start;
}

/**
 * Does the same without a look at the rows in a base file: there can be many. `elsewhere`: the base file is not in the value, and
 * is given to checkStartRows() later.
 */
export function checkStartFields(value: unknown, elsewhere = false): LogStart {
  const start = fieldsOf<LogStart>(value, "start");
  const end = fieldsOf<ChainEnd>(start.end, "end");
  for (const field of ["index", "nextOffset", "timestampMs"] as const) demand(isWhole(end[field]), field);
  demand(isWhole(end.term, termMax), "term");
  demand(isWhole(end.crc, 0xffff_ffff), "crc");
  const { index, lowest, settings, configuration, producers, logs } = fieldsOf<StateCheckpoint>(
    start.checkpoint,
    "checkpoint",
  );
  demand(isWhole(index) && index <= (end.index as number), "checkpoint");
  demand(isWhole(lowest) && lowest <= (end.nextOffset as number), "lowest");
  checkStoredSettings(settings);
  if (configuration !== undefined && configuration !== null) {
    const stored = fieldsOf<StoredConfiguration>(configuration, "configuration");
    demand(isWhole(stored.index) && stored.command instanceof Uint8Array, "configuration");
  }
  checkProducers(producers);
  const checked = value as LogStart;
  if (logs === undefined) return { end: checked.end, checkpoint: checked.checkpoint };
  const table = checkTable(logs, start.rows, elsewhere);
  const checkpoint = { ...checked.checkpoint, logs: table.logs };
  return { end: checked.end, checkpoint, ...(table.rows === undefined ? {} : { rows: table.rows }) };
}

/** The rows of a start are in its base file, or in its table, as an earlier version has them, or stand elsewhere. */
function checkTable(
  value: unknown,
  rows: unknown,
  elsewhere: boolean,
): { logs: TableHead; rows?: StartRows } {
  const found = fieldsOf<TableHead & { rows: unknown }>(value, "logs");
  const { level, life, nextId } = found;
  demand(isWhole(level) && isWhole(life) && isWhole(nextId, 0x1_0000_0000), "logs");
  if (found.rows !== undefined) {
    checkRows(found.rows, nextId);
    return { logs: { level, life, nextId, size: found.rows.length }, rows: found.rows };
  }
  const { size } = found;
  demand(isWhole(size) && size < nextId, "logs");
  const logs = { level, life, nextId, size };
  if (size === 0 || elsewhere) return { logs };
  if (rows instanceof Uint8Array) return { logs, rows };
  const { index, bytes } = fieldsOf<BaseRef>(rows, "rows");
  demand(isWhole(index) && index > 0 && isWhole(bytes, baseBytesMax), "rows");
  return { logs, rows: { index, bytes } };
}

/**
 * Checks the rows of a start in steps, if they are in a base file. `index`: the one that the file must have, if that is known
 * from elsewhere.
 * @throws Fault "corrupt"
 */
export function* checkStartRows(
  { end, checkpoint, rows }: LogStart,
  index?: RaftIndex,
): Generator<void, void> {
  const source = sourceOf(rows);
  if (source === undefined) return;
  const base = readBase(source);
  const found = decodeHead(base.head);
  demand(index === undefined || found.index === index, "rows");
  const { nextId, size } = checkpoint.logs ?? emptyHead;
  // Segments that name no log may have been removed after the base was written.
  demand(found.index < end.index || (found.index === end.index && found.crc === end.crc), "rows");
  demand(found.head.nextId === nextId && found.head.size === size, "rows");
  const names = new SeenNames();
  let checked = 0;
  for (const block of base.blocks()) {
    for (const stored of block) {
      if (++checked % stepRows === 0) yield;
      const { id, name } = decodeRow(stored);
      demand(id > 0 && id < nextId, "log id");
      for (const other of names.add(name, id)) {
        demand(base.row(other)?.name !== name, "log name");
        // It may have read a block.
        yield;
      }
    }
    yield;
  }
}

function checkRows(rows: unknown, nextId: number): asserts rows is readonly LogRow[] {
  demand(Array.isArray(rows), "logs");
  const ids = new Set<number>();
  const names = new Set<string>();
  for (const row of rows as readonly unknown[]) {
    const { id, name, settings, owner, closed, ...numbers } = fieldsOf<LogRow>(row, "log");
    demand(isWhole(id, 0xffff_ffff) && id > 0 && id < nextId && !ids.has(id), "log id");
    demand(
      typeof name === "string" && Buffer.byteLength(name) <= logNameBytesMax && !names.has(name),
      "log name",
    );
    demand(typeof closed === "boolean", "log");
    demand(owner === undefined || isOwner(owner), "log owner");
    ids.add(id);
    names.add(name);
    checkedSettings(settings);
    const { lowest, next } = numbers;
    for (const field of rowNumbers) demand(isWhole(numbers[field]), field);
    demand((lowest as number) <= (next as number), "log bounds");
  }
}

const rowNumbers = ["createdMs", "lowest", "next", "bytes", "lastMs", "lastIndex", "version"] as const;

function checkStoredSettings(value: unknown): void {
  fieldsOf<LogSettings>(value, "settings");
  try {
    checkSettings(value as LogSettings);
  } catch (cause) {
    throw malformed("settings", cause);
  }
}

/** Returns the value as rows of producers. @throws Fault "corrupt" */
export function checkProducers(value: unknown): readonly ProducerRow[] {
  demand(Array.isArray(value) && value.every(isProducerRow), "producers");
  return value as readonly ProducerRow[];
}

/** msgpack returns large numbers as bigints. Only ids of producers can be that large. */
function isProducerRow(value: unknown): value is ProducerRow {
  if (!Array.isArray(value)) return false;
  const [subject, id, epoch, batches, logId = 0] = value as unknown[];
  return (
    typeof subject === "string" &&
    Buffer.byteLength(subject) <= subjectBytesMax &&
    (isWhole(id) || (typeof id === "bigint" && id >= 0n && id <= producerIdMax)) &&
    isWhole(epoch, 0xffff_ffff) &&
    isWhole(logId, 0xffff_ffff) &&
    Array.isArray(batches) &&
    batches.length > 0 &&
    batches.length <= batchesPerProducerMax &&
    batches.every((batch) => Array.isArray(batch) && batch.length === 5 && batch.every((one) => isWhole(one)))
  );
}

const isWhole = (value: unknown, most: number = Number.MAX_SAFE_INTEGER): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most;

function fieldsOf<T>(value: unknown, part: string): { readonly [K in keyof T]?: unknown } {
  demand(typeof value === "object" && value !== null && !Array.isArray(value), part);
  return value as { readonly [K in keyof T]?: unknown };
}

function demand(holds: boolean, part: string): asserts holds {
  if (!holds) throw malformed(part);
}

function malformed(part: string, cause?: unknown): Fault {
  return new Fault("corrupt", {
    message: `the start of a log is malformed (${part})`,
    facts: { why: "start", part },
    cause,
  });
}
