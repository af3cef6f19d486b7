/**
 * Compares the named logs of one machine, and `default`, with a model on a disk that fails. After each reopening: every
 * acknowledged record is there, in its log and at its offset; no record is there twice, or in a log that was created after
 * its append; an append that was not acknowledged is there completely or not at all, in the order of the attempts; the
 * rows are what the frames make from scratch.
 */
import assert from "node:assert/strict";
import { Fault } from "../../../src/fault.ts";
import { LogState, SyncPolicy } from "../../../src/log/mod.ts";
import type { AppendOptions, CommitLog, LogId, LogInfo, Offset } from "../../../src/types.ts";
import type { World } from "./log-model.ts";
import { allValues, run, type SimMachine, simMachine, valuesOf } from "./logs.ts";
import type { OneNodeLog } from "./one-node-log.ts";

/** The name of a log; undefined is `default`. */
type Name = string | undefined;
export type ChangeKind = "create" | "delete" | "close" | "update";

export type NamedStep =
  /** Concurrent appends. */
  | {
      readonly kind: "appends";
      readonly runs: readonly { readonly log: Name; readonly sizes: readonly number[] }[];
    }
  | { readonly kind: "expected"; readonly log: Name; readonly isRight: boolean }
  | { readonly kind: "produce"; readonly log: Name; readonly producer: number; readonly records: number }
  /** Concurrent changes, each followed by an append to the log. */
  | {
      readonly kind: "changes";
      readonly list: readonly { readonly change: ChangeKind; readonly log: string }[];
    }
  | { readonly kind: "trim"; readonly log: Name; readonly part: number }
  | { readonly kind: "read" }
  | { readonly kind: "advance"; readonly ms: number }
  | { readonly kind: "cut"; readonly operations: number }
  | { readonly kind: "crash" | "kill" | "reopen" }
  | { readonly kind: "syncFails" | "writeFails" };

interface Attempt {
  /** Its place among all calls. */
  readonly serial: number;
  readonly log: Name;
  readonly values: readonly string[];
  /** Set once it was acknowledged. */
  at: { readonly id: LogId; readonly first: Offset } | undefined;
  /** Refused as not written: it must not be found. */
  refused: boolean;
}

interface Known {
  readonly id: LogId;
  readonly name: Name;
  /** The call that created it. */
  readonly createdSerial: number;
  /** The values that must be there, by offset. */
  values: string[];
  lowest: Offset;
  /** The highest trim that may have happened. */
  trimTried: Offset;
  deletes: "none" | "tried" | "done";
  closes: "none" | "tried" | "done";
}

/** An id of a model that stands for `default`. */
const defaultId = 0;

export class NamedRun {
  readonly machine: SimMachine;
  readonly #world: World;
  log: OneNodeLog | undefined;
  readonly logs = new Map<LogId, Known>();
  #attempts: Attempt[] = [];
  /** Creates since the last check, by name: the call of the first one. */
  readonly #creates = new Map<string, number>();
  readonly #sequences = new Map<string, number>();
  #highestId: LogId = 0;
  #serial = 0;

  constructor(world: World) {
    this.#world = world;
    this.machine = simMachine(world.seed);
    this.logs.set(defaultId, newLog(defaultId, undefined, 0));
  }

  open(): Promise<OneNodeLog> {
    const { settings, asyncFlush, frameCacheBytesMax } = this.#world;
    return this.machine.open(settings, {
      syncPolicy: new SyncPolicy(!asyncFlush),
      frameCacheBytesMax,
      openFilesMax: 3,
    });
  }

  async step(step: NamedStep): Promise<void> {
    const { disk } = this.machine;
    switch (step.kind) {
      case "appends":
        await Promise.all(step.runs.map(({ log, sizes }) => this.append(log, sizes)));
        break;
      case "expected":
        await this.expected(step.log, step.isRight);
        break;
      case "produce":
        await this.produce(step.log, step.producer, step.records);
        break;
      case "changes":
        await Promise.all(step.list.map(({ change, log }) => this.change(change, log)));
        if (this.log?.failure === undefined) await this.check(this.log!);
        break;
      case "trim":
        await this.trim(step.log, step.part);
        break;
      case "read":
        await settle();
        if (this.log?.failure === undefined) await this.check(this.log!);
        break;
      case "advance":
        await this.advance(step.ms);
        break;
      case "cut":
        disk.crashAfter(step.operations);
        break;
      case "syncFails":
        disk.faults.syncFails = 1;
        break;
      case "writeFails":
        disk.faults.writeFails = 1;
        break;
      case "reopen":
        await this.log?.close().catch(() => {});
        disk.kill();
        await this.reopen();
        break;
      case "kill":
      case "crash":
        disk[step.kind]();
        await this.reopen();
        break;
    }
    await settle();
    if (this.log?.failure === undefined) return;
    disk[this.machine.chance.chance(0.5) ? "crash" : "kill"]();
    await this.reopen();
  }

  async append(log: Name, sizes: readonly number[], options: AppendOptions = {}): Promise<boolean> {
    const serial = ++this.#serial;
    const values = sizes.map((size, n) => `${serial}.${n} ${log ?? ""}`.padEnd(size, "."));
    const attempt: Attempt = { serial, log, values, at: undefined, refused: false };
    this.#attempts.push(attempt);
    const counts = this.log;
    const known = this.#named(log);
    try {
      const ref = log === undefined ? {} : { log: { name: log } };
      const appended = await this.#answer(this.log!.append(run(...values), { ...options, ...ref }));
      assert.equal(appended.duplicate, false);
      assert.equal(appended.count, values.length);
      attempt.at = { id: appended.logId ?? defaultId, first: appended.firstOffset };
      return true;
    } catch (fault) {
      assert.ok(fault instanceof Fault, String(fault));
      if (counts === this.log && fault.written === "no") attempt.refused = true;
      if (fault.kind === "not-found") assert.ok(known?.deletes !== "none", fault.message);
      return false;
    }
  }

  async expected(log: Name, isRight: boolean): Promise<void> {
    const known = this.#named(log);
    if (known === undefined || known.closes !== "none") return;
    const next = this.#rowOf(known)?.next;
    if (next === undefined) return;
    const written = await this.append(log, [10], { expectedOffset: isRight ? next : next + 1 });
    if (this.log?.failure === undefined) assert.equal(written, isRight, `expected offset of ${log}`);
  }

  /** Appends twice. The second one is answered with the offset of the first one, in this log only. */
  async produce(log: Name, id: number, records: number): Promise<void> {
    const known = this.#named(log);
    if (known === undefined || known.closes !== "none") return;
    const key = `${known.id}/${id}`;
    const sequence = this.#sequences.get(key) ?? 0;
    const producer = { subject: "s", id: BigInt(id), epoch: 1, sequence };
    const sizes = new Array<number>(records).fill(12);
    if (!(await this.append(log, sizes, { producer }))) {
      // It is not known whether the producer's batch is there: the model goes on with another epoch.
      this.#sequences.set(key, -1);
      return;
    }
    const { at, values } = this.#attempts.find(({ serial }) => serial === this.#serial)!;
    this.#sequences.set(key, sequence + records);
    try {
      const ref = log === undefined ? {} : { log: { name: log } };
      const again = await this.#answer(this.log!.append(run(...values), { producer, ...ref }));
      assert.deepEqual([again.duplicate, again.firstOffset], [true, at!.first]);
    } catch (fault) {
      assert.ok(fault instanceof Fault, String(fault));
      await settle();
      assert.notEqual(this.log?.failure, undefined, fault.message);
    }
  }

  async change(change: ChangeKind, name: string): Promise<void> {
    const known = this.#named(name);
    const log = { name };
    if (change === "create") this.#creates.set(name, this.#creates.get(name) ?? ++this.#serial);
    if (change === "delete" && known !== undefined) known.deletes = "tried";
    if (change === "close" && known !== undefined) known.closes = "tried";
    const appending = this.append(name, [14]);
    appending.catch(() => undefined);
    try {
      const settings = change === "update" ? { maxBytes: 100_000 + this.#serial } : {};
      const given =
        change === "create"
          ? ({ kind: change, name, settings } as const)
          : change === "update"
            ? ({ kind: change, log, settings } as const)
            : ({ kind: change, log } as const);
      const done = await this.#answer(this.log!.change(given));
      if (change !== "delete") assert.equal(done.log?.name, name);
      else if (known !== undefined) known.deletes = "done";
    } catch (fault) {
      assert.ok(fault instanceof Fault, String(fault));
      const expected = [
        "not-found",
        "already-exists",
        "disk-failed",
        "unavailable",
        "unknown",
        "interrupted",
      ];
      assert.ok(expected.includes(fault.kind), `${change} ${name}: ${fault.kind} ${fault.message}`);
    }
    await appending;
  }

  async trim(log: Name, part: number): Promise<void> {
    const known = this.#named(log);
    const row = known === undefined ? undefined : this.#rowOf(known);
    if (known === undefined || row === undefined) return;
    const before = Math.floor(row.lowest + (row.next - row.lowest) * part);
    known.trimTried = Math.max(known.trimTried, before);
    try {
      const lowest = await this.#answer(
        this.log!.trim(before, log === undefined ? {} : { log: { name: log } }),
      );
      assert.equal(lowest, Math.max(before, known.lowest));
      known.lowest = lowest;
    } catch (fault) {
      assert.ok(fault instanceof Fault, String(fault));
    }
  }

  async advance(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      this.machine.clock.advance(Math.min(left, 500));
      await settle();
    }
  }

  async reopen(): Promise<void> {
    const { disk } = this.machine;
    disk.faults.syncFails = 0;
    disk.faults.writeFails = 0;
    for (;;) {
      try {
        this.log = await this.open();
        await this.check(this.log);
        return;
      } catch (fault) {
        // The power may also fail while the log opens.
        if (!(fault instanceof Fault) || fault.kind !== "disk-failed") {
          if (!(fault instanceof Error) || fault.name !== "SimulatedCrash") throw fault;
        }
        disk.crash();
      }
    }
  }

  /** Compares all logs with what must be and what may be there, and then updates the model. */
  async check(log: OneNodeLog): Promise<void> {
    this.#checkRows(log);
    this.#checkLogs(log);
    for (const known of this.logs.values()) await this.#checkLog(log, known);
    this.#attempts = [];
    this.#creates.clear();
  }

  /** The rows are those that the stored frames make of the state before the first one. */
  #checkRows({ storedLog }: OneNodeLog): void {
    const { commitIndex } = storedLog;
    const state = LogState.from(storedLog.start.checkpoint);
    let at = storedLog.firstIndex;
    while (at <= commitIndex) {
      const frames = storedLog.entries(at, 1 << 20, commitIndex);
      for (const frame of frames) assert.equal(state.stage(frame, 0), undefined);
      at += frames.length;
    }
    state.commitTo(commitIndex);
    const expected = state.checkpointAt(commitIndex);
    const found = storedLog.state.checkpointAt(commitIndex);
    assert.deepEqual(byId(found.logs?.rows), byId(expected.logs?.rows));
    assert.equal(found.logs?.nextId, expected.logs?.nextId);
    assert.deepEqual(found.producers, expected.producers);
  }

  /** Compares which logs there are, and enters new ones. */
  #checkLogs({ storedLog, replica }: OneNodeLog): void {
    const { logs: table } = storedLog.state;
    const listed = replica.log.named.list("", "", 100).logs;
    assert.equal(listed.length, table.size, "each row has a name of its own");
    assert.deepEqual(
      listed.map(({ name }) => name),
      listed.map(({ name }) => name).sort(),
    );
    const usedIds = this.#highestId;
    for (const info of listed) this.#checkInfo(info, usedIds);
    for (const known of [...this.logs.values()]) {
      if (known.id === defaultId || listed.some(({ id }) => id === known.id)) continue;
      assert.notEqual(known.deletes, "none", `log ${known.name} ${known.id} is gone`);
      assert.ok(table.wasDeleted(known.id));
      this.logs.delete(known.id);
    }
    for (const attempt of this.#attempts) {
      const { at } = attempt;
      if (at !== undefined) assert.ok(this.logs.has(at.id) || table.wasDeleted(at.id));
    }
  }

  #checkInfo({ id, name, closed }: LogInfo, usedIds: LogId): void {
    let known = this.logs.get(id);
    if (known === undefined) {
      const serial = this.#creates.get(name);
      assert.ok(serial !== undefined, `log ${name} was never created`);
      assert.ok(id > usedIds, `id ${id} was used before`);
      known = newLog(id, name, serial);
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
    const mine = this.#attempts.filter(
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
    const order = found.map((value) => Number.parseInt(value, 10));
    assert.deepEqual(
      order,
      order.toSorted((one, other) => one - other),
      `${what}: order`,
    );
    assert.equal(new Set(found).size, found.length, `${what}: a record is there twice`);
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
      const offset = this.machine.chance.between(lowest, next - 1);
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

  #named(name: Name): Known | undefined {
    return [...this.logs.values()].findLast((log) => log.name === name);
  }

  #rowOf({ id }: Known): { readonly lowest: Offset; readonly next: Offset } | undefined {
    const { storedLog } = this.log!;
    return id === defaultId ? storedLog.bounds : storedLog.state.logs.row(id);
  }

  /** Waits for an operation, which ends when the disk fails. */
  async #answer<T>(work: Promise<T>): Promise<T> {
    let isPending = true;
    const settled = (): void => {
      isPending = false;
    };
    work.then(settled, settled);
    for (let turn = 0; isPending && turn < 200; turn++) {
      await settle();
      if (turn >= 5) this.machine.clock.advance(5);
    }
    assert.ok(!isPending, "an operation does not end");
    return work;
  }
}

const newLog = (id: LogId, name: Name, createdSerial: number): Known => ({
  id,
  name,
  createdSerial,
  values: [],
  lowest: 0,
  trimTried: 0,
  deletes: "none",
  closes: "none",
});

const byId = <T extends { readonly id: LogId }>(rows: readonly T[] = []): T[] =>
  rows.toSorted((one, other) => one.id - other.id);

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Runs the steps in a new world. Throws if the logs and their model differ. */
export async function runNamedModel(world: World, steps: readonly NamedStep[]): Promise<void> {
  const model = new NamedRun(world);
  model.log = await model.open();
  for (const step of steps) await model.step(step);
  await model.step({ kind: "crash" });
  await model.step({ kind: "reopen" });
}
