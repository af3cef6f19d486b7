/**
 * The rows of named logs and the head of their table as bytes, for the database of rows and for base files. Pure.
 *
 *   row  := 1 flags created lowest next bytes last-ms last-index version rest      varints; rest: JSON [settings, owner, stream, more], or nothing
 *   more := { "fork": { "source", "next", "cut" }, "touched": ms }                   from level 4 on; each can be absent
 *   more := { "cursor": [log, offset, metadata] }                                    of a cursor, from level 5 on; metadata can be absent
 *   head := 1 level life next-id crc                                                     varints
 *   owner := 1 logs bytes                                                                varints; what the logs of an owner use
 *
 * Flag 1: closed; 2: deleted, and kept for its forks. `owner` and `stream` are null if only what follows them is there; `stream` is
 * there from level 2 on (stream-state.ts). `crc` is that of the last frame that the rows include: it tells of which log they are. Id and name of a
 * row stand beside its bytes (src/rows).
 */
import { Fault } from "../../fault.ts";
import { readVarint, varintBytes, varintEnd, writeVarint } from "../../lib/bytes.ts";
import type { RowsHead, StoredRow } from "../../rows/mod.ts";
import type { LogFork, LogId, NamedLogSettings, Offset, RaftIndex } from "../../types.ts";
import { checkedSettings, forkFrom, isOwner, logNameBytesMax } from "../frame/log-command.ts";
import { type CursorState, cursorOverMs } from "./cursor-row.ts";
import { type LogRow, ownLowest, ttlOverMs } from "./log-row.ts";
import { type StreamState, streamFrom, streamToValue } from "./stream-state.ts";

const version = 1;
const [closedFlag, deletedFlag] = [1, 2];

/** All of the table but its rows. */
export interface TableHead {
  readonly level: number;
  readonly life: number;
  /** The id of the next log. It is state of its own: the highest row can be deleted. */
  readonly nextId: LogId;
  /** How many rows there are. */
  readonly size: number;
}

/** What the logs that a subject created use. */
export interface LogUsage {
  readonly logs: number;
  /** Bytes of the frames that hold their records. */
  readonly bytes: number;
}

export const emptyHead: TableHead = { level: 0, life: 0, nextId: 1, size: 0 };

/** The rows as of an index. */
export interface RowsAt {
  readonly index: RaftIndex;
  /** Of the frame at `index`. */
  readonly crc: number;
  readonly head: TableHead;
}

export function encodeRow(row: LogRow): StoredRow {
  const { id, name, settings, owner, stream, fork, touchedMs, cursor } = row;
  const numbers = [
    version,
    (row.closed ? closedFlag : 0) + (row.deleted === true ? deletedFlag : 0),
    ...[row.createdMs, row.lowest, row.next, row.bytes, row.lastMs, row.lastIndex, row.version],
  ];
  const hasMore = fork !== undefined || touchedMs !== undefined || cursor !== undefined;
  const more = hasMore ? { fork, touched: touchedMs, cursor: cursorToValue(cursor) } : undefined;
  const isPlain = !hasSettings(settings) && owner === undefined && stream === undefined && !hasMore;
  const text = Buffer.from(isPlain ? "" : JSON.stringify(restToValue(settings, owner, stream, more)));
  return { id, name, dueMs: dueMsOf(row), value: packed(numbers, text) };
}

/** As decodeRow(), if there is one. */
export const decodedRow = (stored: StoredRow | undefined): LogRow | undefined =>
  stored === undefined ? undefined : decodeRow(stored);

/** @throws Fault "corrupt" */
export function decodeRow({ id, name, value }: StoredRow): LogRow {
  const numbers = new Numbers(value, "row");
  demand(numbers.next() === version && id > 0, "row");
  const flags = numbers.next();
  demand(flags <= closedFlag + deletedFlag, "row");
  const createdMs = numbers.next();
  const lowest: Offset = numbers.next();
  const next: Offset = numbers.next();
  const [bytes, lastMs] = [numbers.next(), numbers.next()];
  const lastIndex: RaftIndex = numbers.next();
  const lastVersion: RaftIndex = numbers.next();
  demand(lowest <= next && Buffer.byteLength(name) <= logNameBytesMax, "row");
  const numbersOf = { createdMs, lowest, next, bytes, lastMs, lastIndex, version: lastVersion };
  const { settings, owner, ...rest } = restOf(value.subarray(numbers.at));
  demand(rest.fork === undefined || rest.fork.next <= next, "fork");
  return {
    ...{ id, name, settings },
    ...(owner === undefined ? {} : { owner }),
    ...numbersOf,
    closed: (flags & closedFlag) !== 0,
    ...rest,
    ...((flags & deletedFlag) === 0 ? {} : { deleted: true }),
  };
}

export function encodeHead({ index, crc, head }: RowsAt): RowsHead {
  const { level, life, nextId, size } = head;
  return { index, count: size, value: packed([version, level, life, nextId, crc], new Uint8Array(0)) };
}

/** @throws Fault "corrupt" */
export function decodeHead({ index, count, value }: RowsHead): RowsAt {
  const numbers = new Numbers(value, "head");
  demand(numbers.next() === version, "head");
  const [level, life] = [numbers.next(), numbers.next()];
  const nextId: LogId = numbers.next();
  const crc = numbers.next();
  demand(numbers.at === value.length && count < nextId && nextId <= 2 ** 32 && crc < 2 ** 32, "head");
  return { index, crc, head: { level, life, nextId, size: count } };
}

/** A subject that creates logs does not begin with this: what follows it is no subject. */
export const reservedOwnerPrefix = "\u0001";

/** Under this key, in place of an owner, the forks of a log are counted. */
export const forksKey = (source: LogId): string => `${reservedOwnerPrefix}forks/${source}`;

/** Under this key, all cursors are counted. */
export const allCursorsKey = `${reservedOwnerPrefix}cursors`;

/** Under this key, the cursors of a log are counted; 0: `default`. */
export const cursorsKey = (log: LogId): string => `${allCursorsKey}/${log}`;

/** The keys under which a row counts. A cursor does not count for the quotas of logs. */
export function usageKeys({
  owner,
  fork,
  cursor,
}: Pick<LogRow, "owner" | "fork" | "cursor">): readonly string[] {
  if (cursor !== undefined) return [allCursorsKey, cursorsKey(cursor.log)];
  if (fork === undefined) return owner === undefined ? [] : [owner];
  return owner === undefined ? [forksKey(fork.source)] : [owner, forksKey(fork.source)];
}

/** Undefined for an owner that has no log any more. */
export const encodeUsage = ({ logs, bytes }: LogUsage): Uint8Array | undefined =>
  logs === 0 ? undefined : packed([version, logs, bytes], new Uint8Array(0));

/** @throws Fault "corrupt" */
export function decodeUsage(value: Uint8Array): LogUsage {
  const numbers = new Numbers(value, "owner");
  demand(numbers.next() === version, "owner");
  const [logs, bytes] = [numbers.next(), numbers.next()];
  demand(numbers.at === value.length && logs > 0, "owner");
  return { logs, bytes };
}

/** When something may be due for a log, in ms since 1970; 0: always; undefined: never, as the row is. */
export function dueMsOf(row: LogRow): number | undefined {
  const { settings, next, bytes } = row;
  if (row.deleted === true) return 0;
  if (row.cursor !== undefined) return dateOf(cursorOverMs(row));
  const lowest = ownLowest(row);
  const { expiresAtMs, retentionAgeMs, retentionBytes } = settings;
  if (next > lowest && (retentionAgeMs !== undefined || bytes > (retentionBytes ?? bytes))) return 0;
  const byTtl = ttlOverMs(row);
  if (expiresAtMs === undefined || byTtl === undefined) return dateOf(expiresAtMs ?? byTtl);
  return dateOf(Math.min(expiresAtMs, byTtl));
}

/** A time that no clock reaches is never. */
const dateOf = (ms: number | undefined): number | undefined =>
  ms === undefined || ms > 2 ** 52 ? undefined : ms;

function restToValue(
  settings: NamedLogSettings,
  owner: string | undefined,
  stream: StreamState | undefined,
  more: unknown,
): unknown[] {
  if (more !== undefined)
    return [settings, owner ?? null, stream === undefined ? null : streamToValue(stream), more];
  if (stream !== undefined) return [settings, owner ?? null, streamToValue(stream)];
  return owner === undefined ? [settings] : [settings, owner];
}

const hasSettings = (settings: NamedLogSettings): boolean => Object.keys(settings).length > 0;

function packed(numbers: readonly number[], rest: Uint8Array): Uint8Array {
  let length = rest.length;
  for (const number of numbers) length += varintBytes(number);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const number of numbers) at = writeVarint(bytes, at, number);
  bytes.set(rest, at);
  return bytes;
}

interface RowRest {
  readonly settings: NamedLogSettings;
  readonly owner?: string;
  readonly stream?: StreamState;
  readonly fork?: LogFork;
  readonly touchedMs?: number;
  readonly cursor?: CursorState;
}

const noRest: RowRest = { settings: {} };

function restOf(text: Uint8Array): RowRest {
  if (text.length === 0) return noRest;
  let found: unknown;
  try {
    found = JSON.parse(Buffer.from(text.buffer, text.byteOffset, text.length).toString());
  } catch (cause) {
    throw malformed("settings", cause);
  }
  demand(Array.isArray(found) && found.length <= 4, "settings");
  const [settings, owner, third, more] = found as unknown[];
  const value = third === null && more !== undefined ? undefined : third;
  const isNone = owner === undefined || (owner === null && third !== undefined);
  demand(isNone || isOwner(owner), "owner");
  const stream = streamFrom(value);
  demand((value === undefined) === (stream === undefined), "stream");
  return {
    settings: checkedSettings(settings),
    ...(isNone ? {} : { owner: owner as string }),
    ...(stream === undefined ? {} : { stream }),
    ...(more === undefined ? {} : moreFrom(more)),
  };
}

const cursorToValue = (cursor: CursorState | undefined): unknown =>
  cursor === undefined
    ? undefined
    : [cursor.log, cursor.offset, ...(cursor.metadata === undefined ? [] : [cursor.metadata])];

function cursorFrom(value: unknown): CursorState {
  const [log, offset, metadata] = Array.isArray(value) ? (value as unknown[]) : [];
  demand(isWhole(log) && log <= 0xffff_ffff && isWhole(offset), "cursor");
  demand(metadata === undefined || typeof metadata === "string", "cursor");
  return { log, offset, ...(metadata === undefined ? {} : { metadata }) };
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function moreFrom(value: unknown): Pick<RowRest, "fork" | "touchedMs" | "cursor"> {
  demand(typeof value === "object" && value !== null, "more");
  const { fork, touched, cursor } = value as Readonly<Record<string, unknown>>;
  const found = forkFrom(fork);
  demand((fork === undefined) === (found === undefined), "fork");
  demand(touched === undefined || Number.isSafeInteger(touched), "touched");
  return {
    ...(found === undefined ? {} : { fork: found }),
    ...(touched === undefined ? {} : { touchedMs: touched as number }),
    ...(cursor === undefined ? {} : { cursor: cursorFrom(cursor) }),
  };
}

class Numbers {
  readonly #bytes: Uint8Array;
  readonly #part: string;
  at = 0;

  constructor(bytes: Uint8Array, part: string) {
    this.#bytes = bytes;
    this.#part = part;
  }

  next(): number {
    const value = readVarint(this.#bytes, this.at, this.#bytes.length);
    if (value < 0) throw malformed(this.#part);
    this.at = varintEnd(this.#bytes, this.at, this.#bytes.length);
    return value;
  }
}

function demand(holds: boolean, part: string): asserts holds {
  if (!holds) throw malformed(part);
}

const malformed = (part: string, cause?: unknown): Fault =>
  new Fault("corrupt", {
    message: `the stored row of a named log is malformed (${part})`,
    facts: { why: "rows", part },
    cause,
  });
