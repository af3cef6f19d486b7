/**
 * Compares a log with a model on a disk that fails: runs a list of steps and checks after each reopening that no
 * acknowledged record is missing, moved or changed, that no record is there twice, and that an append that was not
 * acknowledged is there completely or not at all, in the order of the attempts.
 */
import assert from "node:assert/strict";
import { Fault } from "../../../../src/fault.ts";
import type { AppendOptions, Offset } from "../../../../src/types.ts";
import { allValues, run, type SimMachine, valueAt } from "../../../support/log/logs.ts";
import type { OneNodeLog } from "../../../support/log/one-node-log.ts";
import { MachineRun, type MachineStep, settle, type World } from "./machine-run.ts";

type OwnStep =
  /** Concurrent appends. Each has records of these sizes in bytes. */
  | { readonly kind: "appends"; readonly runs: readonly (readonly number[])[] }
  | {
      readonly kind: "produce";
      readonly producer: number;
      readonly records: number;
      readonly retries: number;
    }
  | { readonly kind: "trim"; readonly part: number }
  /** The disk has `left` free bytes, until the next reopening or "free". */
  | { readonly kind: "fill"; readonly left: number }
  | { readonly kind: "free" };

export type Step = OwnStep | MachineStep;

interface Attempt {
  readonly values: readonly string[];
  /** Set once it was acknowledged. */
  first: Offset | undefined;
  /** Refused as not written: it must not be found. */
  refused: boolean;
}

class Run extends MachineRun<OwnStep> {
  readonly #world: World;
  /** The values that must be there, by offset. */
  known: string[] = [];
  lowest = 0;
  /** The highest trim that may have happened. */
  trimTried = 0;
  /** The attempts since the last reopening, in order. */
  attempts: Attempt[] = [];
  sequences = [0, 0, 0];

  constructor(world: World) {
    super(world, { reserveBytes: 2000 });
    this.#world = world;
  }

  /** Retention may remove records. */
  get #retains(): boolean {
    return (this.#world.settings.retentionAgeMs ?? 0) > 0;
  }

  protected override async act(step: OwnStep): Promise<void> {
    const { disk, clock } = this.machine;
    switch (step.kind) {
      case "appends":
        await Promise.all(step.runs.map((sizes) => this.append(sizes)));
        break;
      case "produce":
        await this.produce(step.producer, step.records, step.retries);
        break;
      case "trim":
        await this.trim(step.part);
        break;
      case "fill":
        disk.capacityBytes = 0;
        disk.capacityBytes = used(this.machine) + step.left;
        break;
      case "free":
        disk.capacityBytes = Number.POSITIVE_INFINITY;
        clock.advance(1000);
        await settle();
        break;
    }
  }

  async append(sizes: readonly number[], options: AppendOptions = {}): Promise<boolean> {
    const values = sizes.map((size) => `${this.serial++}`.padEnd(size, "."));
    const attempt: Attempt = { values, first: undefined, refused: false };
    this.attempts.push(attempt);
    const counts = this.log;
    try {
      const appended = await this.answer(this.log!.append(run(...values), options));
      assert.equal(appended.count, values.length);
      attempt.first = appended.firstOffset;
      return true;
    } catch (fault) {
      assert.ok(fault instanceof Fault, String(fault));
      if (counts === this.log && fault.written === "no") attempt.refused = true;
      return false;
    }
  }

  /** Appends and retries, as a client does, until it is acknowledged. The records must be there once. */
  async produce(id: number, records: number, retries: number): Promise<void> {
    const producer = { subject: "s", id: BigInt(id), epoch: 1, sequence: this.sequences[id]! };
    const values = Array.from({ length: records }, () => `${this.serial++}-p${id}`);
    for (let attempt = 0; ; attempt++) {
      const noted: Attempt = { values, first: undefined, refused: false };
      try {
        const appending = this.log!.append(run(...values), { producer });
        this.attempts.push(noted);
        const { firstOffset, duplicate } = await this.answer(appending);
        if (duplicate) {
          noted.refused = true;
          for (const [n, value] of values.entries()) {
            if (firstOffset + n >= this.log!.storedLog.bounds.lowest) {
              assert.equal(await valueAt(this.log!, firstOffset + n), value);
            }
          }
        } else noted.first = firstOffset;
        if (attempt < retries) continue; // the acknowledgment was lost
        break;
      } catch (fault) {
        assert.ok(fault instanceof Fault, String(fault));
        if (fault.kind === "disk-full") {
          noted.refused = true;
          return;
        }
        await settle();
        assert.ok(!this.isRunning, fault.message);
        if (fault.written === "no") noted.refused = true;
        this.machine.disk.crash();
        await this.reopen();
      }
    }
    this.sequences[id]! += records;
  }

  async trim(part: number): Promise<void> {
    const { next } = await this.log!.bounds();
    const before = Math.floor(next * part);
    this.trimTried = Math.max(this.trimTried, before);
    try {
      this.lowest = await this.answer(this.log!.trim(before));
    } catch (fault) {
      assert.ok(fault instanceof Fault, String(fault));
    }
  }

  protected override async check(log: OneNodeLog): Promise<void> {
    await this.compare(log);
    // A power failure must not lose what was served, also if nothing was written since.
    if (this.machine.chance.chance(0.7)) return;
    const served = await allValues(log);
    this.machine.disk.crash();
    const again = await this.open();
    const kept = await allValues(again);
    assert.deepEqual(kept, this.#retains ? served.slice(served.length - kept.length) : served);
    this.log = again;
  }

  /** Compares the log with what must be and what may be there, and then updates the model. */
  async compare(log: OneNodeLog): Promise<void> {
    const { lowest, next } = await log.bounds();
    const lowestMost = this.#retains ? next : Math.max(this.lowest, this.trimTried);
    assert.ok(lowest >= this.lowest && lowest <= lowestMost, `lowest is ${lowest}`);
    for (const { first, values } of this.attempts) {
      if (first !== undefined) for (const [n, value] of values.entries()) this.known[first + n] = value;
    }
    const found = await allValues(log);
    assert.equal(found.length, next - lowest);
    assert.ok(next >= this.known.length, `${this.known.length} records were acknowledged, ${next} are there`);
    for (const [n, value] of found.entries()) {
      const expected = this.known[lowest + n];
      if (expected !== undefined) assert.equal(value, expected, `offset ${lowest + n}`);
    }
    const unacknowledged = this.attempts.filter(({ first, refused }) => first === undefined && !refused);
    let at = Math.max(this.known.length, lowest);
    for (const { values } of unacknowledged) {
      if (at === next) break;
      if (found[at - lowest] !== values[0]) continue;
      assert.deepEqual(found.slice(at - lowest, at - lowest + values.length), values);
      at += values.length;
    }
    assert.equal(at, next, "there are records that were not appended, or in another order");
    assert.equal(new Set(found).size, found.length, "a record is there twice");
    for (let offset = lowest; offset < next; offset++) this.known[offset] = found[offset - lowest]!;
    this.known.length = next;
    this.attempts = [];
    this.lowest = lowest;
    this.trimTried = lowest;
  }
}

function used({ disk }: SimMachine): number {
  disk.capacityBytes = Number.MAX_SAFE_INTEGER;
  return Number.MAX_SAFE_INTEGER - disk.freeBytes("/");
}

/** Runs the steps in a new world. Throws if the log and its model differ. */
export const runModel = (world: World, steps: readonly Step[]): Promise<void> => new Run(world).run(steps);
