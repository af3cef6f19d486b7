/** What must be and what may be in the named logs of one machine, and in `default`. See named-model.ts. */
import assert from "node:assert/strict";
import { Fault } from "../../../../src/fault.ts";
import type { Prng } from "../../../../src/lib/prng.ts";
import {
  batchKind,
  frameBaseOffset,
  frameKind,
  frameLogId,
  LogState,
  type SegmentedLog,
} from "../../../../src/log/mod.ts";
import { rowsOfStart } from "../../../../src/log/rows/base-files.ts";
import type { CommitLog, LogId, LogInfo, Offset } from "../../../../src/types.ts";
import { startOf } from "../../../support/log/log-start.ts";
import { allValues, valuesOf } from "../../../support/log/logs.ts";
import type { OneNodeLog } from "../../../support/log/one-node-log.ts";

/** The name of a log; undefined is `default`. */
export type Name = string | undefined;

export interface Attempt {
  /** Its place among all calls. */
  readonly serial: number;
  readonly log: Name;
  readonly values: readonly string[];
  /** Set once it was acknowledged. */
  at: { readonly id: LogId; readonly first: Offset } | undefined;
  /** Refused as not written: it must not be found. */
  refused: boolean;
}

export interface Known {
  readonly id: LogId;
  readonly name: Name;
  /** The call that created it. */
  readonly createdSerial: number;
  /** The values that must be there, by offset. */
  values: string[];
  lowest: Offset;
  /** Of a fork: the records before it are those of another log. */
  readonly inheritedBelow: Offset;
  /** The highest trim that may have happened. */
  trimTried: Offset;
  deletes: "none" | "tried" | "done";
  closes: "none" | "tried" | "done";
}

/** The name of logs with a time to live: they may be deleted at any time. */
export const livedName = "c";

/** An id of a model that stands for `default`. */
export const defaultId = 0;

export class NamedExpectations {
  readonly logs = new Map<LogId, Known>();
  /** The appends since the last check. */
  attempts: Attempt[] = [];
  /** Creates since the last check, by name: the call of the first one. */
  readonly creates = new Map<string, number>();
  readonly #chance: Prng;
  #highestId: LogId = 0;

  constructor(chance: Prng) {
    this.#chance = chance;
    this.logs.set(defaultId, newLog({ id: defaultId, name: undefined }, 0));
  }

  /** Compares all logs with what must be and what may be there, and then updates the model. */
  async check(log: OneNodeLog): Promise<void> {
    this.#checkRows(log);
    this.#checkLogs(log);
    for (const known of this.logs.values()) await this.#checkLog(log, known);
    this.attempts = [];
    this.creates.clear();
  }

  /** The rows are those that the stored frames make of the state before the first one. */
  #checkRows({ storedLog }: OneNodeLog): void {
    const { commitIndex } = storedLog;
    const rows = storedLog.rows.openBase();
    const start = rows === undefined ? startOf(storedLog) : { ...startOf(storedLog), rows };
    const state = LogState.from(start.checkpoint, rowsOfStart(start));
    let at = storedLog.firstIndex;
    while (at <= commitIndex) {
      const frames = storedLog.entries(at, 1 << 20, commitIndex);
      for (const frame of frames) assert.equal(state.stage(frame, 0), undefined);
      at += frames.length;
    }
    state.commitTo(commitIndex);
    const expected = state.checkpointAt(commitIndex);
    const found = storedLog.state.checkpointAt(commitIndex);
    assert.deepEqual(byId(storedLog.state.logs.rows()), byId(state.logs.rows()));
    assert.deepEqual(found.logs, expected.logs);
    assert.deepEqual(found.producers, expected.producers);
  }

  /** Compares which logs there are, and enters new ones. */
  #checkLogs({ storedLog, replica }: OneNodeLog): void {
    const { logs: table } = storedLog.state;
    const listed = replica.log.named.list("", "", 100).logs;
    const hidden = [...table.rows()].filter(({ deleted }) => deleted === true);
    assert.equal(listed.length + hidden.length, table.size, "each row has a name of its own");
    for (const { id } of hidden) {
      const forks = [...table.rows()].filter(({ fork }) => fork?.source === id);
      assert.equal(table.forksOf(id), forks.length, `forks of ${id}`);
    }
    assert.deepEqual(
      listed.map(({ name }) => name),
      listed.map(({ name }) => name).sort(),
    );
    const usedIds = this.#highestId;
    for (const info of listed) this.#checkInfo(info, usedIds, storedLog);
    for (const known of [...this.logs.values()]) {
      if (known.id === defaultId || listed.some(({ id }) => id === known.id)) continue;
      if (known.name !== livedName)
        assert.notEqual(known.deletes, "none", `log ${known.name} ${known.id} is gone`);
      assert.ok(table.wasDeleted(known.id) || table.row(known.id)?.deleted === true);
      this.logs.delete(known.id);
    }
    for (const attempt of this.attempts) {
      const { at } = attempt;
      if (at === undefined || this.logs.has(at.id)) continue;
      assert.ok(table.wasDeleted(at.id) || table.row(at.id)?.deleted === true);
    }
  }

  #checkInfo(info: LogInfo, usedIds: LogId, storedLog: SegmentedLog): void {
    const { id, name, closed, lowest, fork } = info;
    let known = this.logs.get(id);
    if (known === undefined) {
      const serial = this.creates.get(name);
      assert.ok(serial !== undefined, `log ${name} was never created`);
      assert.ok(id > usedIds, `id ${id} was used before`);
      known = newLog({ id, name, lowest, inheritedBelow: fork?.next ?? 0 }, serial);
      known.values = inheritedValues(storedLog, info);
      this.logs.set(id, known);
      // A close or delete of this round may be of the new log.
      known.closes = closed ? "done" : "none";
    }
    this.#highestId = Math.max(this.#highestId, id);
    assert.equal(known.name, name);
    if (closed) assert.notEqual(known.closes, "none", `log ${name} is closed`);
    else assert.notEqual(known.closes, "done", `log ${name} is open again`);
    assert.notEqual(known.deletes, "done", `log ${name} ${id} was deleted`);
    known.closes = closed ? "done" : "none";
    known.deletes = "none";
  }

  async #checkLog(log: OneNodeLog, known: Known): Promise<void> {
    const { id, name, createdSerial } = known;
    const read = this.#reading(log, known);
    const { lowest, next } = await read.bounds();
    const what = `log ${name ?? "default"} ${id}`;
    const highestTrim = Math.max(known.lowest, known.trimTried);
    assert.ok(lowest >= known.lowest && lowest <= highestTrim, `${what}: lowest is ${lowest}`);
    const mine = this.attempts.filter(
      (attempt) => attempt.log === name && (attempt.at === undefined || attempt.at.id === id),
    );
    for (const { at, values } of mine)
      if (at !== undefined) for (const [n, value] of values.entries()) known.values[at.first + n] = value;
    const found = await allValues(read);
    assert.equal(found.length, next - lowest, what);
    assert.ok(next >= known.values.length, `${what}: ${known.values.length} acknowledged, ends at ${next}`);
    const undecided = mine.filter(({ at, refused }) => at === undefined && !refused);
    for (let offset = lowest; offset < next; offset++) {
      const value = found[offset - lowest]!;
      const expected = known.values[offset];
      if (expected !== undefined) assert.equal(value, expected, `${what} at ${offset}`);
      else {
        const attempt = undecided.find(({ values }) => values.includes(value));
        assert.ok(attempt !== undefined, `${what} at ${offset}: ${value} was not appended`);
        assert.ok(attempt.serial >= createdSerial, `${what} at ${offset}: ${value} is older than the log`);
        const start = offset - lowest - attempt.values.indexOf(value);
        const all = found.slice(Math.max(0, start), start + attempt.values.length);
        assert.deepEqual(all, attempt.values.slice(Math.max(0, -start)), `${what} at ${offset}`);
      }
      known.values[offset] = value;
    }
    const own = found.slice(Math.max(0, known.inheritedBelow - lowest));
    const order = own.map((value) => Number.parseInt(value, 10));
    assert.deepEqual(
      order,
      order.toSorted((one, other) => one - other),
      `${what}: order`,
    );
    assert.equal(new Set(own).size, own.length, `${what}: a record is there twice`);
    await this.#checkReads(read, known, { lowest, next });
    known.lowest = lowest;
    known.trimTried = lowest;
  }

  /** Reads single offsets in a random order. */
  async #checkReads(
    read: CommitLog,
    known: Known,
    { lowest, next }: { lowest: Offset; next: Offset },
  ): Promise<void> {
    for (let n = Math.min(8, next - lowest); n > 0; n--) {
      const offset = this.#chance.between(lowest, next - 1);
      assert.equal(valuesOf(await read.read(offset), offset)[0], known.values[offset]);
    }
    for (const offset of [lowest - 1, next]) {
      if (offset < 0) continue;
      await assert.rejects(
        read.read(offset),
        (fault) => fault instanceof Fault && fault.kind === "out-of-range",
      );
    }
  }

  #reading(log: OneNodeLog, { id, name }: Known): CommitLog {
    return name === undefined ? log : log.replica.log.named.open({ name, id });
  }
}

const newLog = (
  log: {
    readonly id: LogId;
    readonly name: Name;
    readonly lowest?: Offset;
    readonly inheritedBelow?: Offset;
  },
  createdSerial: number,
): Known => {
  const { id, name, lowest = 0, inheritedBelow = 0 } = log;
  return {
    ...{ id, name, createdSerial, values: [], lowest, inheritedBelow, trimTried: lowest },
    ...{ deletes: "none", closes: "none" },
  };
};

/**
 * What a fork must show of its sources, as their frames say, also if they were deleted since. The records of a source are compared
 * with the model themselves.
 */
function inheritedValues(storedLog: SegmentedLog, { id, lowest, fork }: LogInfo): string[] {
  const { logs } = storedLog.state;
  const stored = storedValues(storedLog);
  const valueAt = (log: LogId, offset: Offset): string => {
    const from = log === id ? fork : logs.row(log)?.fork;
    if (from === undefined || offset >= from.next) return stored.get(`${log}/${offset}`)!;
    const value = valueAt(from.source, offset);
    return from.cut !== undefined && offset === from.next - 1 ? value.slice(0, from.cut) : value;
  };
  const values: string[] = [];
  for (let offset = lowest; offset < (fork?.next ?? 0); offset++) values[offset] = valueAt(id, offset);
  return values;
}

/** By log and offset. */
function storedValues(storedLog: SegmentedLog): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  const { commitIndex } = storedLog;
  for (let at = storedLog.firstIndex; at <= commitIndex; ) {
    const frames = storedLog.entries(at, 1 << 20, commitIndex);
    for (const frame of frames) {
      if (frameKind(frame, 0) !== batchKind.data) continue;
      const [id, base] = [frameLogId(frame, 0), frameBaseOffset(frame, 0)];
      for (const [n, value] of valuesOf(
        { frames: frame, firstOffset: base, nextOffset: base },
        base,
      ).entries())
        values.set(`${id}/${base + n}`, value);
    }
    at += frames.length;
  }
  return values;
}

const byId = <T extends { readonly id: LogId }>(rows: Iterable<T>): T[] =>
  [...rows].sort((one, other) => one.id - other.id);
