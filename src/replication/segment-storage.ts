/**
 * The segmented log as Raft's storage: entries are its frames, the vote is in the stable store.
 *
 *   write → entries that conflict are cut off → new ones staged → written and synced as one group
 *
 * Frames arrive here sealed or checked (see frame-format.ts). Index and term identify an entry: after a write that the
 * disk refused, what is staged already is not staged again.
 */
import { Fault } from "../fault.ts";
import type { Clock, Timer } from "../lib/time/clock.ts";
import {
  diskFault,
  type FrameGroup,
  type LogStart,
  type Reserve,
  type SegmentedLog,
  type SyncMode,
  type SyncPolicy,
} from "../log/mod.ts";
import type {
  ConfState,
  Entry,
  EntryFormat,
  InitialState,
  RaftStorage,
  Snapshot,
  StorageChanges,
} from "../raft/mod.ts";
import type { RaftIndex, Term } from "../types.ts";
import { entryOf } from "./entries.ts";
import { FrameFormat } from "./frame-format.ts";
import { pack, unpack } from "./msgpack.ts";
import type { StableState } from "./stable-state.ts";
import type { LogTime } from "./time/log-time.ts";

/** One read of stored entries is at most this large: the core asks again. */
const readBytesMax = 1024 * 1024;

export interface RaftStorageOptions {
  readonly log: SegmentedLog;
  readonly state: StableState;
  readonly clock: Clock;
  readonly time: Pick<LogTime, "stampMs">;
  readonly sync: SyncMode;
  readonly policy: SyncPolicy;
  readonly reserve: Reserve | undefined;
}

export class SegmentStorage implements RaftStorage {
  readonly #log: SegmentedLog;
  readonly #state: StableState;
  readonly #clock: Clock;
  readonly format: EntryFormat;
  readonly #sync: SyncMode;
  readonly #policy: SyncPolicy;
  readonly #reserve: Reserve | undefined;
  #syncTimer: Timer | undefined;
  #underWay: Promise<void> | undefined;
  #closed = false;

  constructor(options: RaftStorageOptions) {
    this.#log = options.log;
    this.#state = options.state;
    this.#clock = options.clock;
    this.format = new FrameFormat(options.log, options.time);
    this.#sync = options.sync;
    this.#policy = options.policy;
    this.#reserve = options.reserve;
    // The log knows its commit index only roughly. To begin below a configuration that was in force would be to count
    // with the one before it, and perhaps to be elected by nodes that have long been replaced.
    this.#log.commitTo(Math.min(this.#state.configurationIndex, this.#log.durableIndex));
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
    return this.#log.entries(low, Math.min(bytesMax, readBytesMax), high - 1).map(entryOf);
  }

  /** Where the log starts, for a node that lacks what was before: everything after it follows as entries. */
  snapshot(): Snapshot | undefined {
    const { start } = this.#log;
    const { index, term } = start.end;
    if (index === 0) return undefined;
    return { index, term, configuration: this.#state.configurationAt(index), data: pack(start) };
  }

  initialState(): InitialState {
    const applied = this.#log.commitIndex;
    const { term, vote } = this.#state.vote ?? { term: this.#log.end.term, vote: 0 };
    return {
      hardState: { term: Math.max(term, this.#log.end.term), vote, commit: applied },
      configuration: this.#state.configurationAt(applied),
      applied,
    };
  }

  write(changes: StorageChanges): Promise<void> | undefined {
    const { snapshot, hardState, entries } = changes;
    if (snapshot !== undefined) this.#install(snapshot);
    if (hardState !== undefined) this.#saveVote(hardState.term, hardState.vote);
    if (entries.length === 0) return undefined;
    this.#stageNew(entries);
    return this.#flush(entries);
  }

  /** A committed change of configuration is in force. */
  saveConfiguration(index: RaftIndex, configuration: ConfState): void {
    try {
      // A configuration that is known in the catalog is known to be committed, and committed is what no crash takes back.
      this.#log.syncTo(index);
      this.#state.saveConfiguration(index, configuration, this.#log.firstIndex - 1);
    } catch (cause) {
      throw cause instanceof Fault ? cause : diskFault(cause);
    }
  }

  /** Nothing is written any more; resolves when what was under way has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#syncTimer?.cancel();
    await this.#underWay?.catch(() => undefined);
  }

  #install(snapshot: Snapshot): void {
    const { index } = snapshot;
    // Both or neither: a log that starts later with the configuration of before would elect the wrong ones.
    const start = unpack(snapshot.data) as LogStart;
    this.#log.reset(start, this.#state.withOnly(index, snapshot.configuration));
  }

  #saveVote(term: Term, vote: number): void {
    try {
      this.#state.saveVote(term, vote);
    } catch (cause) {
      const fault = diskFault(cause);
      if (fault.kind === "disk-failed") throw cause;
      if (fault.kind === "disk-full") this.#makeRoom(fault);
      throw fault;
    }
  }

  /** Stages the entries that are not here yet, having cut off what they replace. */
  #stageNew(entries: readonly Entry[]): void {
    const log = this.#log;
    let at = 0;
    while (at < entries.length) {
      const { index, term } = entries[at]!;
      if (index > log.end.index) break;
      if (log.term(index) !== term) {
        log.truncateSuffix(index);
        break;
      }
      at++;
    }
    for (const group of contiguous(entries, at)) log.stageChecked(group);
  }

  #flush(entries: readonly Entry[]): Promise<void> | undefined {
    const sync = this.#sync === "always";
    let bytes = 0;
    for (const entry of entries) bytes += entry.bytes.length;
    if (typeof this.#sync === "object") this.#syncLater(this.#sync.intervalMs);
    if (sync && !this.#policy.inline(bytes)) {
      this.#underWay = this.#flushAside();
      return this.#underWay;
    }
    const started = this.#clock.monotonicMs();
    try {
      this.#log.flushNow(sync);
    } catch (reason) {
      if (!this.#makeRoom(reason)) throw reason;
      this.#log.flushNow(sync);
    }
    this.#policy.took(this.#clock.monotonicMs() - started);
    return undefined;
  }

  async #flushAside(): Promise<void> {
    try {
      await this.#log.flush();
    } catch (reason) {
      if (!this.#makeRoom(reason)) throw reason;
      await this.#log.flush();
    }
  }

  /** What was accepted is written with the room that was kept; new records are refused meanwhile. */
  #makeRoom(reason: unknown): boolean {
    if (!(reason instanceof Fault) || reason.kind !== "disk-full") return false;
    this.#reserve?.filled();
    return this.#reserve?.release() === true;
  }

  #syncLater(intervalMs: number): void {
    if (this.#syncTimer !== undefined || this.#closed) return;
    this.#syncTimer = this.#clock.after(intervalMs, () => {
      this.#syncTimer = undefined;
      this.#underWay = this.#log.syncWritten();
      // A failed sync has poisoned the log: the next write says so.
      this.#underWay.catch(() => undefined);
    });
  }
}

/** The entries from `from` on as groups of frames, neighbors in one buffer as one group. */
function contiguous(entries: readonly Entry[], from: number): FrameGroup[] {
  const groups: FrameGroup[] = [];
  let positions: number[] = [0];
  let start = from;
  for (let at = from; at < entries.length; at++) {
    const { bytes } = entries[at]!;
    const length = positions[positions.length - 1]! + bytes.length;
    positions.push(length);
    const next = entries[at + 1]?.bytes;
    if (next?.buffer === bytes.buffer && next.byteOffset === bytes.byteOffset + bytes.length) continue;
    const first = entries[start]!;
    const joined = new Uint8Array(first.bytes.buffer, first.bytes.byteOffset, length);
    groups.push({ bytes: joined, positions, first: first.index });
    positions = [0];
    start = at + 1;
  }
  return groups;
}
