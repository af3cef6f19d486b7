/**
 * A replica in memory. A power cut keeps everything that was synced, and a prefix of the parts of an unfinished write.
 * Each value is one offset. Compaction keeps a few entries.
 */
import { Fault } from "../../../src/fault.ts";
import type { Prng } from "../../../src/lib/prng.ts";
import type { Clock } from "../../../src/lib/time/clock.ts";
import { MemoryLogStorage } from "../../support/disk/memory-log-storage.ts";
import {
  type ConfState,
  type Entry,
  type HardState,
  type InitialState,
  type PeerId,
  proposal,
  type RaftIndex,
  RaftNode,
  type RaftStorage,
  type Snapshot,
  type StateMachine,
  type StorageChanges,
  type Term,
} from "../raft.ts";
import type { AppendCallbacks, ProcessContext, ReplicaFaults, SimReplica } from "./sim-replica.ts";

interface Image {
  readonly snapshot: Snapshot | undefined;
  readonly base: { readonly index: RaftIndex; readonly term: Term };
  readonly entries: readonly Entry[];
  readonly hardState: HardState;
}

/** The state of a state machine that survives a kill. */
interface State {
  readonly applied: RaftIndex;
  readonly values: readonly string[];
  readonly offsets: ReadonlyMap<RaftIndex, number>;
  readonly configuration: ConfState;
}

const everything = Number.POSITIVE_INFINITY;

export class MemoryReplica implements SimReplica, RaftStorage, StateMachine {
  readonly log = undefined;
  readonly #peer: PeerId;
  readonly #log = new MemoryLogStorage();
  readonly #clock: Clock;
  readonly #random: Prng;
  readonly #faults: ReplicaFaults;
  readonly #first: ConfState;
  #durable: Image;
  /** The write in progress, and the durable state before it. */
  #underWay: { changes: StorageChanges; before: Image } | undefined;
  #configuration: ConfState;
  #values: string[] = [];
  appliedIndex: RaftIndex = 0;
  readonly lowest = 0;
  readonly time = undefined;
  #offsets = new Map<RaftIndex, number>();
  #node: RaftNode | undefined;
  #context: ProcessContext;

  constructor(
    peer: PeerId,
    context: ProcessContext,
    random: Prng,
    faults: ReplicaFaults,
    first: ConfState,
    image?: Image,
    state?: State,
  ) {
    this.#peer = peer;
    this.#context = context;
    this.#clock = context.clock;
    this.#random = random;
    this.#faults = faults;
    this.#first = first;
    this.#configuration = first;
    if (image?.snapshot !== undefined) {
      this.#log.install(image.snapshot);
      this.restore(image.snapshot);
    }
    if (image !== undefined) {
      this.#log.append(image.entries);
      this.#log.hardState = image.hardState;
    }
    // A snapshot that arrived when the process was killed is ahead of the applied index.
    if (state !== undefined && state.applied >= this.appliedIndex) {
      this.appliedIndex = state.applied;
      this.#values = [...state.values];
      this.#offsets = new Map(state.offsets);
      this.#configuration = state.configuration;
    }
    this.#durable = this.#image();
  }

  get firstIndex(): RaftIndex {
    return this.#log.firstIndex;
  }
  get lastIndex(): RaftIndex {
    return this.#log.lastIndex;
  }
  term(index: RaftIndex): Term | undefined {
    return this.#log.term(index);
  }
  entries(low: RaftIndex, high: RaftIndex, bytesMax: number): readonly Entry[] | undefined {
    return this.#log.entries(low, high, bytesMax);
  }

  initialState(): InitialState {
    const { hardState } = this.#log;
    const applied = this.appliedIndex;
    const commit = Math.max(hardState.commit, applied);
    return { hardState: { ...hardState, commit }, configuration: this.#configuration, applied };
  }

  snapshot(): Snapshot | undefined {
    if (this.appliedIndex === 0) return undefined;
    return {
      index: this.appliedIndex,
      term: this.#log.term(this.appliedIndex) ?? 0,
      configuration: this.#configuration,
      data: Buffer.from(JSON.stringify(this.#values)),
    };
  }

  write(changes: StorageChanges): Promise<void> | undefined {
    if (this.#faults.full()) throw new Fault("disk-full");
    const fails = this.#faults.failNext;
    this.#faults.failNext = false;
    const before = this.#durable;
    this.#perform(this.#log, changes);
    // A write without a sync is visible and can be lost.
    if (!changes.sync && !fails) return undefined;
    const done = this.#image();
    const wait = changes.sync ? this.#faults.syncMs() : 0;
    if (wait === 0 && !fails) {
      this.#durable = done;
      return undefined;
    }
    this.#underWay = { changes, before };
    return new Promise((resolve, reject) => {
      this.#clock.after(wait, () => {
        if (fails) {
          reject(new Fault("disk-failed", { written: "unknown" }));
          return;
        }
        this.#underWay = undefined;
        this.#durable = done;
        resolve();
      });
    });
  }

  #perform(log: MemoryLogStorage, { snapshot, hardState, entries }: StorageChanges): void {
    if (snapshot !== undefined) log.install(snapshot);
    if (hardState !== undefined) log.hardState = hardState;
    log.append(entries);
  }

  #image(): Image {
    const { firstIndex, lastIndex, hardState } = this.#log;
    return {
      snapshot: this.#base,
      base: { index: firstIndex - 1, term: this.#log.term(firstIndex - 1) ?? 0 },
      entries: this.#log.entries(firstIndex, lastIndex + 1, everything) ?? [],
      hardState,
    };
  }

  /** The snapshot in place of the entries that are no longer in the log. */
  get #base(): Snapshot | undefined {
    const installed = this.#log.snapshot();
    const newest = (this.#compacted?.index ?? 0) >= (installed?.index ?? 0) ? this.#compacted : installed;
    return newest?.index === 0 ? undefined : newest;
  }
  #compacted: Snapshot | undefined;

  get durable(): SimReplica["durable"] {
    const { hardState, base, entries } = this.#durable;
    return {
      hardState,
      lastIndex: base.index + entries.length,
      term: (index) => (index === base.index ? base.term : entries[index - base.index - 1]?.term),
    };
  }

  apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const value = entry.bytes.length === 0 ? undefined : Buffer.from(entry.bytes).toString("utf8");
      const offset = value === undefined ? undefined : this.#values.length;
      if (value !== undefined) this.#values.push(value);
      if (offset !== undefined) this.#offsets.set(entry.index, offset);
      this.#applied(entry, value, offset);
    }
  }

  configure(entry: Entry, configuration: ConfState): void {
    this.#configuration = configuration;
    this.#applied(entry, undefined, undefined);
  }

  #applied(entry: Entry, value: string | undefined, offset: number | undefined): void {
    this.appliedIndex = entry.index;
    const digest = `${entry.term}:${value ?? JSON.stringify(entry.change?.changes ?? null)}`;
    const values = value === undefined ? [] : [value];
    this.#context.applied({ index: entry.index, term: entry.term, digest, values, offset });
  }

  restore(snapshot: Snapshot): void {
    if (this.#node !== undefined) this.#context.restored(snapshot.index);
    this.#values = JSON.parse(Buffer.from(snapshot.data).toString("utf8")) as string[];
    this.appliedIndex = snapshot.index;
    this.#configuration = snapshot.configuration;
    this.#compacted = undefined;
  }

  get next(): number {
    return this.#values.length;
  }
  values(): readonly string[] {
    return this.#values;
  }
  reportApplied(): void {}

  start(): RaftNode {
    const { random, limits, send, observe, failed } = this.#context;
    this.#node = new RaftNode({
      ...limits,
      peer: this.#peer,
      clock: this.#clock,
      random,
      storage: this,
      machine: this,
      transport: { send, members: () => {} },
      observe,
      onFailure: failed,
    });
    this.#node.start();
    return this.#node;
  }

  append(value: string, callbacks: AppendCallbacks): void {
    const refused = this.#node?.propose([proposal(Buffer.from(value))], {
      applied: (index) => callbacks.acked(this.#offsets.get(index) ?? -1),
      failed: (fault) => callbacks.failed(fault),
    });
    if (refused !== undefined) callbacks.failed(refused);
  }

  linearizableEnd(then: (next: number) => void): void {
    this.#node?.read({ ready: () => then(this.next), failed: () => {} });
  }

  trim(): number {
    return 0;
  }

  compact(): void {
    const index = this.appliedIndex - this.#random.between(0, 20);
    if (this.#underWay !== undefined || index <= this.#log.firstIndex) return;
    const snapshot = this.snapshot();
    if (snapshot === undefined || !this.#log.compact(this.appliedIndex)) return;
    this.#compacted = snapshot;
    this.#durable = this.#image();
  }

  reopen(context: ProcessContext, powerCut: boolean): SimReplica {
    const image = powerCut ? this.#afterPowerCut() : this.#image();
    const state: State = {
      applied: this.appliedIndex,
      values: this.#values,
      offsets: this.#offsets,
      configuration: this.#configuration,
    };
    const kept = powerCut ? undefined : state;
    return new MemoryReplica(this.#peer, context, this.#random, this.#faults, this.#first, image, kept);
  }

  #afterPowerCut(): Image {
    if (this.#underWay === undefined) return this.#durable;
    const { changes, before } = this.#underWay;
    const left = new MemoryLogStorage();
    if (before.snapshot !== undefined) left.install(before.snapshot);
    left.append(before.entries);
    left.hardState = before.hardState;
    let { snapshot } = before;
    const kept = this.#random.between(0, 3);
    if (kept >= 1 && changes.snapshot !== undefined) {
      left.install(changes.snapshot);
      snapshot = changes.snapshot;
    }
    if (kept >= 2 && changes.hardState !== undefined) left.hardState = changes.hardState;
    if (kept >= 3) {
      // A conflicting suffix is truncated first. Then the entries are added one by one.
      const count = this.#random.between(0, changes.entries.length);
      const [first] = changes.entries;
      if (first !== undefined && first.index <= left.lastIndex) left.append([first]);
      left.append(changes.entries.slice(0, count));
    }
    const { firstIndex, lastIndex, hardState } = left;
    return {
      snapshot,
      base: { index: firstIndex - 1, term: left.term(firstIndex - 1) ?? 0 },
      entries: left.entries(firstIndex, lastIndex + 1, everything) ?? [],
      hardState,
    };
  }
}
