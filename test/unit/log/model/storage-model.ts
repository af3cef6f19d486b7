/**
 * Compares the segmented log with a model on a disk that fails: batches are staged, flushed, committed, cut off, compacted
 * and replaced by a snapshot. After every crash, durable batches that were not cut off are there, batches that were cut off
 * are not, and of the others there is a prefix.
 */
import assert from "node:assert/strict";
import { Fault } from "../../../../src/fault.ts";
import { heapMapper } from "../../../../src/lib/disk/mapped-file.ts";
import { GroupBuilder } from "../../../../src/log/append/group-builder.ts";
import {
  batchKind,
  chainStart,
  defaultSettings,
  emptyCheckpoint,
  encodeSettings,
  encodeTrim,
  frameNextOffset,
  frameTerm,
  SegmentedLog,
} from "../../../../src/log/mod.ts";
import { run, type SimMachine, simDirectory, simMachine } from "../../../support/log/logs.ts";
import { sealGroup } from "../../../support/log/seal-group.ts";

export type StorageStep =
  | { readonly kind: "stage"; readonly sizes: readonly number[]; readonly newTerm: boolean }
  | { readonly kind: "flush" | "flushAsync" | "crash" | "kill" | "reopen" | "compact" | "reset" }
  | { readonly kind: "syncFails" }
  | { readonly kind: "commit" | "truncate" | "trim"; readonly part: number }
  | { readonly kind: "cut"; readonly operations: number };

interface Model {
  /** Frames from index `first` on. */
  readonly first: number;
  readonly frames: readonly Uint8Array[];
  /** Frames up to this index must be there after a crash. */
  readonly certain: number;
}

const lastOf = ({ first, frames }: Model): number => first + frames.length - 1;

class StorageRun {
  readonly machine: SimMachine;
  readonly #segmentStoreBytesMax: number;
  readonly #frameCacheBytesMax: number;
  readonly #zerosMax: number;
  log!: SegmentedLog;
  model: Model = { first: 1, frames: [], certain: 0 };
  /** The model if an operation was complete before a power failure interrupted it. */
  alternative: Model | undefined;
  committed = 0;
  term = 1;
  #serial = 0;

  constructor(seed: number, segmentStoreBytesMax: number, frameCacheBytesMax: number) {
    this.machine = simMachine(seed);
    this.#segmentStoreBytesMax = segmentStoreBytesMax;
    this.#frameCacheBytesMax = frameCacheBytesMax;
    this.#zerosMax = 100 * (seed % 4);
  }

  open(): void {
    const { disk, store } = this.machine;
    this.log = SegmentedLog.open({
      directory: simDirectory,
      disk,
      store,
      mapper: heapMapper(disk),
      newDirectoryId: new Uint8Array(16).fill(3),
      frameCacheBytesMax: this.#frameCacheBytesMax,
      zerosMax: this.#zerosMax,
      openFilesMax: 2,
    });
  }

  async step(step: StorageStep): Promise<void> {
    try {
      await this.apply(step);
    } catch (reason) {
      const isExpected =
        reason instanceof Error && (reason.name === "SimulatedCrash" || reason.name === "Fault");
      if (!isExpected) throw reason;
      if (reason instanceof Fault) assert.equal(reason.kind, "disk-failed", reason.message);
      this.machine.disk.crash();
      await this.reopen();
    }
  }

  async apply(step: StorageStep): Promise<void> {
    const { log, machine } = this;
    switch (step.kind) {
      case "stage":
        if (step.newTerm) this.term++;
        this.stage((builder) => {
          for (const size of step.sizes)
            builder.add(run(`${this.#serial++}`.padEnd(size, ".")), undefined, true);
        });
        break;
      case "flush":
      case "flushAsync":
        if (step.kind === "flush") log.flushNow();
        else await log.flush();
        this.model = { ...this.model, certain: lastOf(this.model) };
        assert.equal(log.durableIndex, lastOf(this.model));
        break;
      case "commit": {
        const to = this.committed + Math.floor((log.durableIndex - this.committed) * step.part);
        log.commitTo(to);
        this.committed = Math.max(this.committed, to);
        assert.equal(log.commitIndex, this.committed);
        break;
      }
      case "truncate": {
        const from = this.committed + 1 + Math.floor((log.end.index - this.committed) * step.part);
        const { first, frames, certain } = this.model;
        this.model = { first, frames, certain: Math.min(certain, from - 1) };
        log.truncateSuffix(from);
        this.model = { ...this.model, frames: frames.slice(0, from - first) };
        this.term++;
        break;
      }
      case "trim": {
        const before = Math.floor(log.bounds.next * step.part);
        this.stage((builder) => builder.addCommand(batchKind.trim, encodeTrim(before)));
        break;
      }
      case "compact": {
        log.compact();
        const gone = log.firstIndex - this.model.first;
        this.model = { ...this.model, first: log.firstIndex, frames: this.model.frames.slice(gone) };
        break;
      }
      case "reset": {
        const index = log.end.index + 5;
        const end = {
          index,
          term: this.term,
          nextOffset: log.end.nextOffset + 9,
          timestampMs: 2_000_000,
          crc: 99,
        };
        this.alternative = { first: index + 1, frames: [], certain: index };
        const committed = this.committed;
        this.committed = index;
        try {
          log.reset({
            end,
            checkpoint: { ...emptyCheckpoint, index, lowest: end.nextOffset, settings: this.settings() },
          });
        } catch (reason) {
          this.committed = committed;
          throw reason;
        }
        this.model = this.alternative;
        this.alternative = undefined;
        break;
      }
      case "syncFails":
        machine.disk.faults.syncFails = 1;
        break;
      case "cut":
        machine.disk.crashAfter(step.operations);
        break;
      case "crash":
        machine.disk.crash();
        await this.reopen();
        break;
      case "kill":
        machine.disk.kill();
        await this.reopen();
        break;
      case "reopen":
        log.close();
        machine.disk.kill();
        await this.reopen();
        break;
    }
    if (step.kind !== "cut") this.compare();
  }

  stage(fill: (builder: GroupBuilder) => void): void {
    const builder = new GroupBuilder(500);
    if (this.log.end.index === 0) builder.addCommand(batchKind.settings, encodeSettings(this.settings()));
    fill(builder);
    const { group } = sealGroup(builder, this.log.end, this.term, 2_000_000);
    if (this.machine.chance.chance(0.5)) this.log.stageChecked(group);
    else this.log.stage(group.bytes);
    const more = group.positions.slice(0, -1).map((at, k) => group.bytes.slice(at, group.positions[k + 1]));
    this.model = { ...this.model, frames: [...this.model.frames, ...more] };
  }

  settings(): typeof defaultSettings {
    return { ...defaultSettings, segmentStoreBytesMax: this.#segmentStoreBytesMax };
  }

  /** The log, with its staged frames, equals the model. */
  compare(): void {
    const { log, model } = this;
    assert.equal(log.firstIndex <= model.first || log.firstIndex === model.first, true);
    assert.equal(log.end.index, lastOf(model));
    const found: Uint8Array[] = [];
    for (let index = model.first; index <= lastOf(model); ) {
      const some = log.entries(index, 300);
      assert.ok(some.length > 0);
      found.push(...some);
      index += some.length;
    }
    assert.equal(found.length, model.frames.length);
    for (const [k, frame] of found.entries()) {
      assert.equal(Buffer.compare(frame, model.frames[k]!), 0, `index ${model.first + k}`);
      assert.equal(log.term(model.first + k), frameTerm(frame, 0));
    }
    assert.equal(log.term(lastOf(model) + 1), undefined);
    const last = model.frames[model.frames.length - 1];
    if (last !== undefined) assert.equal(log.end.nextOffset, frameNextOffset(last, 0));
  }

  async reopen(): Promise<void> {
    this.machine.disk.faults.syncFails = 0;
    for (;;) {
      try {
        this.open();
        break;
      } catch (reason) {
        if (!(reason instanceof Error) || reason.name !== "SimulatedCrash") throw reason;
      }
    }
    const { log } = this;
    if (
      this.alternative !== undefined &&
      log.end.index === this.alternative.certain &&
      log.firstIndex === this.alternative.first
    ) {
      this.model = this.alternative;
      this.committed = this.alternative.certain;
    }
    this.alternative = undefined;
    const { first, frames, certain } = this.model;
    assert.ok(log.end.index >= certain, `index ${certain} was durable, the log ends at ${log.end.index}`);
    assert.ok(log.end.index <= lastOf(this.model), "frames that were cut off, or never staged, are there");
    // A compaction that a power failure interrupted may be complete.
    const gone = Math.max(0, log.firstIndex - first);
    const kept = frames.slice(gone, log.end.index - first + 1);
    this.model = { first: first + gone, frames: kept, certain: log.end.index };
    assert.ok(log.commitIndex <= this.committed);
    log.commitTo(this.committed);
    this.compare();
  }
}

export interface StorageWorld {
  readonly seed: number;
  readonly segmentStoreBytesMax: number;
  readonly frameCacheBytesMax: number;
}

export async function runStorageModel(world: StorageWorld, steps: readonly StorageStep[]): Promise<void> {
  const run = new StorageRun(world.seed, world.segmentStoreBytesMax, world.frameCacheBytesMax);
  run.open();
  assert.deepEqual(run.log.end, chainStart);
  for (const step of steps) await run.step(step);
  await run.step({ kind: "crash" });
}
