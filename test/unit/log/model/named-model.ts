/**
 * Compares the named logs of one machine, and `default`, with a model on a disk that fails. After each reopening: every
 * acknowledged record is there, in its log and at its offset; no record is there twice, or in a log that was created after
 * its append; an append that was not acknowledged is there completely or not at all, in the order of the attempts; the
 * rows are what the frames make from scratch.
 */
import assert from "node:assert/strict";
import { Fault } from "../../../../src/fault.ts";
import type { AppendOptions, LogChange, Offset } from "../../../../src/types.ts";
import { run } from "../../../support/log/logs.ts";
import type { OneNodeLog, OneNodeOptions } from "../../../support/log/one-node-log.ts";
import { MachineRun, type MachineStep, settle, type World } from "./machine-run.ts";
import {
  type Attempt,
  defaultId,
  type Known,
  livedName,
  type Name,
  NamedExpectations,
} from "./named-expectations.ts";

type ChangeKind = "create" | "delete" | "close" | "update" | "fork" | "touch";

type OwnStep =
  /** Concurrent appends. */
  | {
      readonly kind: "appends";
      readonly runs: readonly { readonly log: Name; readonly sizes: readonly number[] }[];
    }
  | { readonly kind: "expected"; readonly log: Name; readonly isRight: boolean }
  | { readonly kind: "produce"; readonly log: Name; readonly producer: number; readonly records: number }
  /** Concurrent changes, each followed by an append to the log. A fork is one of `source`, in `part` of it. */
  | {
      readonly kind: "changes";
      readonly list: readonly {
        readonly change: ChangeKind;
        readonly log: string;
        readonly source?: string;
        readonly part?: number;
      }[];
    }
  | { readonly kind: "trim"; readonly log: Name; readonly part: number }
  | { readonly kind: "read" };

export type NamedStep = OwnStep | MachineStep;
type ChangeStep = Extract<OwnStep, { kind: "changes" }>["list"][number];

class NamedRun extends MachineRun<OwnStep> {
  readonly #model: NamedExpectations;
  readonly #sequences = new Map<string, number>();

  constructor(world: World, options: OneNodeOptions) {
    super(world, options);
    this.#model = new NamedExpectations(this.machine.chance);
  }

  protected override async act(step: OwnStep): Promise<void> {
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
        await Promise.all(step.list.map((one) => this.change(one)));
        if (this.isRunning) await this.check(this.log!);
        break;
      case "trim":
        await this.trim(step.log, step.part);
        break;
      case "read":
        await settle();
        if (this.isRunning) await this.check(this.log!);
        break;
    }
  }

  protected override check(log: OneNodeLog): Promise<void> {
    return this.#model.check(log);
  }

  async append(log: Name, sizes: readonly number[], options: AppendOptions = {}): Promise<boolean> {
    const serial = ++this.serial;
    const values = sizes.map((size, n) => `${serial}.${n} ${log ?? ""}`.padEnd(size, "."));
    const attempt: Attempt = { serial, log, values, at: undefined, refused: false };
    this.#model.attempts.push(attempt);
    const counts = this.log;
    const known = this.#named(log);
    try {
      const ref = log === undefined ? {} : { log: { name: log } };
      const appended = await this.answer(this.log!.append(run(...values), { ...options, ...ref }));
      assert.equal(appended.duplicate, false);
      assert.equal(appended.count, values.length);
      attempt.at = { id: appended.logId ?? defaultId, first: appended.firstOffset };
      return true;
    } catch (fault) {
      assert.ok(fault instanceof Fault, String(fault));
      if (counts === this.log && fault.written === "no") attempt.refused = true;
      if (fault.kind === "not-found" && log !== livedName)
        assert.ok(known?.deletes !== "none", fault.message);
      return false;
    }
  }

  async expected(log: Name, isRight: boolean): Promise<void> {
    const known = this.#named(log);
    if (known === undefined || known.closes !== "none") return;
    const next = this.#rowOf(known)?.next;
    if (next === undefined) return;
    const written = await this.append(log, [10], { expectedOffset: isRight ? next : next + 1 });
    if (this.isRunning) assert.equal(written, isRight, `expected offset of ${log}`);
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
    const { at, values } = this.#model.attempts.find(({ serial }) => serial === this.serial)!;
    this.#sequences.set(key, sequence + records);
    try {
      const ref = log === undefined ? {} : { log: { name: log } };
      const again = await this.answer(this.log!.append(run(...values), { producer, ...ref }));
      assert.deepEqual([again.duplicate, again.firstOffset], [true, at!.first]);
    } catch (fault) {
      assert.ok(fault instanceof Fault, String(fault));
      await settle();
      assert.ok(!this.isRunning, fault.message);
    }
  }

  async change({ change, log: name, source = name, part = 1 }: ChangeStep): Promise<void> {
    const known = this.#named(name);
    const isCreate = change === "create" || change === "fork";
    if (isCreate) this.#model.creates.set(name, this.#model.creates.get(name) ?? ++this.serial);
    if (change === "delete" && known !== undefined) known.deletes = "tried";
    if (change === "close" && known !== undefined) known.closes = "tried";
    const given = this.#changeOf(change, name, source, part);
    const appending = this.append(name, [14]);
    appending.catch(() => undefined);
    try {
      if (given !== undefined) {
        const done = await this.answer(this.log!.change(given));
        if (change !== "delete" && change !== "touch") assert.equal(done.log?.name, name);
        if (change === "delete" && known !== undefined) known.deletes = "done";
      }
    } catch (fault) {
      assert.ok(fault instanceof Fault, String(fault));
      const expected = [
        "not-found",
        "already-exists",
        "disk-failed",
        "unavailable",
        "unknown",
        "interrupted",
        // A fork waits for its turn with two logs, and is refused if that does not come soon.
        ...(change === "fork" ? ["failed-precondition", "out-of-range", "overloaded"] : []),
      ];
      assert.ok(expected.includes(fault.kind), `${change} ${name}: ${fault.kind} ${fault.message}`);
    }
    await appending;
  }

  /** Undefined: there is no log to fork. */
  #changeOf(change: ChangeKind, name: string, source: string, part: number): LogChange | undefined {
    const log = { name };
    const lived = name === livedName ? { ttlMs: 6_000, contentType: "text/plain" } : {};
    if (change === "create") return { kind: change, name, settings: lived };
    const settings = change === "update" ? { maxBytes: 100_000 + this.serial } : {};
    if (change === "update") return { kind: change, log, settings };
    if (change !== "fork") return { kind: change, log };
    const from = this.#named(source);
    const row = from === undefined ? undefined : this.#rowOf(from);
    if (from === undefined || row === undefined) return undefined;
    const next = row.lowest + Math.floor((row.next - row.lowest) * part);
    const cut = part < 0.5 && next > row.lowest ? { cut: 3 } : {};
    return { kind: change, name, settings, source: { name: source, id: from.id }, at: { next, ...cut } };
  }

  async trim(log: Name, part: number): Promise<void> {
    const known = this.#named(log);
    const row = known === undefined ? undefined : this.#rowOf(known);
    if (known === undefined || row === undefined) return;
    const before = Math.floor(row.lowest + (row.next - row.lowest) * part);
    known.trimTried = Math.max(known.trimTried, before);
    try {
      const lowest = await this.answer(
        this.log!.trim(before, log === undefined ? {} : { log: { name: log } }),
      );
      assert.equal(lowest, Math.max(before, known.lowest));
      known.lowest = lowest;
    } catch (fault) {
      assert.ok(fault instanceof Fault, String(fault));
    }
  }

  #named(name: Name): Known | undefined {
    return [...this.#model.logs.values()].findLast((log) => log.name === name);
  }

  #rowOf({ id }: Known): { readonly lowest: Offset; readonly next: Offset } | undefined {
    const { storedLog } = this.log!;
    return id === defaultId ? storedLog.bounds : storedLog.state.logs.row(id);
  }
}

/** Runs the steps in a new world. Throws if the logs and their model differ. */
export const runNamedModel = (
  world: World,
  steps: readonly NamedStep[],
  options: OneNodeOptions = {},
): Promise<void> => new NamedRun(world, options).run(steps);
