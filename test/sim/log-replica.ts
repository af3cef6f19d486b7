/**
 * A replica on the real segmented log, a simulated disk under it: the log is Raft's storage and the state in one.
 * Term and vote, and the configuration with its index, lie in the stable store.
 *
 * Never: corrects what the log does.
 */
import { deserialize, serialize } from "node:v8";
import { Fault } from "../../src/fault.ts";
import { assert } from "../../src/lib/assert.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { heapMapper } from "../../src/lib/mapped-file.ts";
import type { Prng } from "../../src/lib/prng.ts";
import {
  type BatchKind,
  batchKind,
  type ChainEnd,
  defaultSettings,
  encodeFrame,
  encodeRun,
  encodeSettings,
  encodeTrim,
  frameCommand,
  frameCrc,
  frameIndex,
  frameKind,
  frameNextOffset,
  frameTerm,
  frameTimestampMs,
  type LogStart,
  RecordCursor,
  SegmentedLog,
} from "../../src/log/mod.ts";
import { SimDisk } from "../support/sim-disk.ts";
import { SimStableStore } from "../support/sim-stable-store.ts";
import {
  type ConfChange,
  type ConfState,
  type Entry,
  type HardState,
  type InitialState,
  proposal,
  type RaftIndex,
  type Snapshot,
  type StorageChanges,
  type Term,
} from "./raft.ts";
import type { Applied, Replica, ReplicaFaults } from "./replica.ts";

const directory = "/data";
const chunkBytes = 1 << 20;

/** Small segments, so that there are many. */
const settings = { ...defaultSettings, segmentStoreBytesMax: 2000 };

interface Machine {
  readonly disk: SimDisk;
  readonly store: SimStableStore;
  readonly chance: Prng;
  readonly faults: ReplicaFaults;
  readonly first: ConfState;
}

export class LogReplica implements Replica {
  readonly #machine: Machine;
  readonly #clock: Clock;
  readonly #log: SegmentedLog;
  readonly #initial: InitialState;
  #hardState: HardState;
  #configuration: ConfState;
  #busy = false;
  appliedIndex: RaftIndex;
  onApply: (applied: Applied) => void = () => {};

  static create(clock: Clock, chance: Prng, faults: ReplicaFaults, first: ConfState): LogReplica {
    const disk = new SimDisk(chance.stream("torn"));
    disk.makeDirectory(directory);
    return new LogReplica(clock, { disk, store: new SimStableStore(disk), chance, faults, first });
  }

  private constructor(clock: Clock, machine: Machine) {
    const { disk, store, first } = machine;
    this.#machine = machine;
    this.#clock = clock;
    this.#log = SegmentedLog.open({
      directory,
      disk,
      store,
      mapper: heapMapper(disk),
      newDirectoryId: new Uint8Array(16).fill(1),
      recentBytesMax: 1500,
    });
    const [term = 0, vote = 0, commit = 0] = (store.get("raft") ?? []) as number[];
    this.#hardState = { term, vote, commit };
    const kept = store.get("configuration") as { index: number; state: ConfState } | undefined;
    this.#configuration = kept?.state ?? first;
    this.appliedIndex = Math.max(this.#log.commitIndex, kept?.index ?? 0);
    this.#log.commitTo(this.appliedIndex);
    assert(this.#log.commitIndex === this.appliedIndex, "what was applied is not in the log");
    this.#initial = {
      hardState: this.#hardState,
      configuration: this.#configuration,
      applied: this.appliedIndex,
    };
  }

  get firstIndex(): RaftIndex {
    return this.#log.firstIndex;
  }
  get lastIndex(): RaftIndex {
    return this.#log.end.index;
  }
  term(index: RaftIndex): Term | undefined {
    return this.#log.term(index);
  }
  entries(low: RaftIndex, high: RaftIndex, bytesMax: number): readonly Entry[] | undefined {
    if (low < this.#log.firstIndex) return undefined;
    return this.#log.entries(low, Math.min(bytesMax, chunkBytes), high - 1).map(toEntry);
  }
  initialState(): InitialState {
    return this.#initial;
  }

  get durable(): Replica["durable"] {
    const lastIndex = this.#log.durableIndex;
    return {
      hardState: this.#hardState,
      lastIndex,
      term: (index) => (index > lastIndex ? undefined : this.#log.term(index)),
    };
  }

  seal(proposed: Entry, index: RaftIndex, term: Term, previous: Entry | undefined): Entry {
    const before = previous === undefined ? this.#log.end : endOf(previous.bytes);
    assert(before.index === index - 1, "sealed out of order");
    const { change, bytes } = proposed;
    const kind: BatchKind =
      change !== undefined
        ? batchKind.configuration
        : bytes.length === 0
          ? batchKind.noOp
          : (bytes[0] as BatchKind);
    const payload = change === undefined ? bytes.subarray(1) : Buffer.from(JSON.stringify(change));
    const frame = encodeFrame(
      {
        index,
        term,
        baseOffset: before.nextOffset,
        timestampMs: Math.max(before.timestampMs, this.#clock.wallMs()),
        recordCount: kind === batchKind.data ? 1 : 0,
        kind,
      },
      payload,
      before.crc,
    );
    return { index, term, bytes: frame, change };
  }

  write(changes: StorageChanges): Promise<void> | undefined {
    const { disk, faults, store } = this.#machine;
    const fails = faults.writeFails();
    if (fails === "disk-full") throw new Fault("disk-full");
    if (fails === "disk-failed") disk.faults.syncFails = 1;
    const { snapshot, hardState, entries } = changes;
    if (snapshot !== undefined) this.#install(snapshot);
    if (hardState !== undefined) {
      const { term, vote, commit } = hardState;
      // A commit index alone may as well be lost.
      if (changes.sync) store.write({ raft: [term, vote, commit] });
      this.#hardState = hardState;
    }
    const [first] = entries;
    if (first === undefined) return undefined;
    if (first.index <= this.#log.end.index) this.#log.truncateSuffix(first.index);
    for (const entry of entries) this.#log.stage(entry.bytes);
    const wait = faults.syncMs();
    if (wait === 0) {
      this.#log.flushNow();
      return undefined;
    }
    this.#busy = true;
    return new Promise((resolve, reject) => {
      this.#clock.after(wait, () => {
        this.#busy = false;
        try {
          this.#log.flushNow();
          resolve();
        } catch (thrown) {
          reject(thrown);
        }
      });
    });
  }

  #install(snapshot: Snapshot): void {
    const { start, frames } = deserialize(snapshot.data) as { start: LogStart; frames: Uint8Array };
    this.#log.reset(start);
    // The snapshot is in force only whole: until then the configuration is that of a log which ends earlier.
    this.#log.stage(frames);
    this.#log.flushNow();
    this.#log.commitTo(snapshot.index);
    this.#machine.store.write({ configuration: { index: snapshot.index, state: snapshot.configuration } });
  }

  snapshot(): Snapshot | undefined {
    const { appliedIndex: index } = this;
    const term = this.#log.term(index);
    if (index === 0 || term === undefined) return undefined;
    const parts: Uint8Array[] = [];
    for (let at = this.#log.firstIndex; at <= index; ) {
      const found = this.#log.entries(at, chunkBytes, index);
      parts.push(...found);
      at += found.length;
    }
    const data = serialize({ start: this.#log.start, frames: new Uint8Array(Buffer.concat(parts)) });
    return { index, term, configuration: this.#configuration, data };
  }

  apply(entries: readonly Entry[]): void {
    for (const entry of entries) this.#applied(entry);
  }

  configure(entry: Entry, configuration: ConfState): void {
    this.#configuration = configuration;
    this.#machine.store.write({ configuration: { index: entry.index, state: configuration } });
    this.#applied(entry);
  }

  #applied(entry: Entry): void {
    this.#log.commitTo(entry.index);
    this.appliedIndex = entry.index;
    const cursor = new RecordCursor(entry.bytes);
    const record = cursor.next() ? { offset: cursor.offset, value: valueAt(cursor) } : undefined;
    this.onApply({
      entry,
      digest: `${entry.term}:${frameCrc(entry.bytes, 0)}`,
      offset: record?.offset,
      value: record?.value,
    });
  }

  restore(snapshot: Snapshot): void {
    this.appliedIndex = snapshot.index;
    this.#configuration = snapshot.configuration;
  }

  get lowest(): number {
    return this.#log.bounds.lowest;
  }
  get next(): number {
    return this.#log.bounds.next;
  }

  values(): readonly string[] {
    const found: string[] = [];
    for (let at = this.#log.firstIndex; at <= this.#log.commitIndex; ) {
      const frames = this.#log.entries(at, chunkBytes, this.#log.commitIndex);
      for (const frame of frames) {
        const cursor = new RecordCursor(frame, this.lowest);
        while (cursor.next()) found.push(valueAt(cursor));
      }
      at += frames.length;
    }
    return found;
  }

  data(value: string): Entry {
    return ofKind(batchKind.data, encodeRun([{ value: Buffer.from(value) }]).bytes);
  }

  settings(): Entry | undefined {
    if (this.#log.state.settings.segmentStoreBytesMax === settings.segmentStoreBytesMax) return undefined;
    return ofKind(batchKind.settings, encodeSettings(settings));
  }

  trim(before: number): Entry | undefined {
    return before > this.lowest ? ofKind(batchKind.trim, encodeTrim(before)) : undefined;
  }

  compact(): void {
    if (!this.#busy) this.#log.compact(this.appliedIndex);
  }

  /** The power goes in the middle of one of the next few things that the disk does. */
  cutSoon(): void {
    this.#machine.disk.crashAfter(this.#machine.chance.between(0, 8));
  }

  reopen(clock: Clock, powerCut: boolean): Replica {
    const { disk } = this.#machine;
    disk.faults.syncFails = 0;
    if (powerCut) disk.crash();
    else disk.kill();
    return new LogReplica(clock, this.#machine);
  }
}

const ofKind = (kind: BatchKind, payload: Uint8Array): Entry =>
  proposal(new Uint8Array(Buffer.concat([Uint8Array.of(kind), payload])));

function toEntry(frame: Uint8Array): Entry {
  const change =
    frameKind(frame, 0) === batchKind.configuration
      ? (JSON.parse(Buffer.from(frameCommand(frame, 0)).toString("utf8")) as ConfChange)
      : undefined;
  return { index: frameIndex(frame, 0), term: frameTerm(frame, 0), bytes: frame, change };
}

function endOf(frame: Uint8Array): ChainEnd {
  return {
    index: frameIndex(frame, 0),
    term: frameTerm(frame, 0),
    nextOffset: frameNextOffset(frame, 0),
    timestampMs: frameTimestampMs(frame, 0),
    crc: frameCrc(frame, 0),
  };
}

/** A record of one short value: tag, length, value. */
function valueAt({ frames, start, end }: RecordCursor): string {
  return end - start < 2 ? "" : Buffer.from(frames.subarray(start + 2, end)).toString("utf8");
}
