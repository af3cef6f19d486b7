/**
 * The segmented log as Raft's storage: entries are its frames, the vote lies in the stable store.
 *
 * A leader's own entries get their place in the chain when Raft seals them, and are staged in the log at once: so
 * the log's state (offsets, producers) counts them from then on. write() stages what came from a leader, replaces
 * what conflicts, and makes all of it durable.
 *
 *   seal → staged            write → (cut) staged → written and synced as one group
 *
 * Invariant: an entry is told by index and term; what is staged already under both is the same.
 *
 * Never: applies, decides what is committed.
 */
import { Fault } from "../fault.ts";
import { assert } from "../lib/assert.ts";
import type { Clock, Timer } from "../lib/time/clock.ts";
import {
  batchKind,
  type ChainEnd,
  checkLink,
  diskFault,
  encodeFrame,
  endOfFrame,
  type GroupBuilder,
  type LogStart,
  type Reserve,
  type SealedGroup,
  type SegmentedLog,
  type SyncMode,
  type SyncPolicy,
} from "../log/mod.ts";
import type { ConfState, Entry, InitialState, RaftStorage, Snapshot, StorageChanges } from "../raft/mod.ts";
import type { RaftIndex, Term } from "../types.ts";
import { encodeChange, entryOf, pack, unpack } from "./entries.ts";
import type { StableState } from "./stable-state.ts";
import type { LogTime } from "./time/log-time.ts";

const noBytes = new Uint8Array(0);
/** One read of stored entries is at most this large: the core asks again. */
const readBytesMax = 1024 * 1024;

/** A group of appends on its way into the log: sealed as one when Raft gives its first frame a place. */
export interface OwnGroup {
  readonly builder: GroupBuilder;
  sealed: SealedGroup | undefined;
}

/** A proposed frame of an own group. Its bytes only say how large it will be. */
export interface OwnEntry extends Entry {
  readonly own: OwnGroup;
  readonly place: number;
}

/** The frames of a group as entries to propose. */
export function ownEntries(own: OwnGroup): OwnEntry[] {
  return own.builder.frameSizes().map((size, place) => ({
    index: 0,
    term: 0,
    bytes: sized(size),
    change: undefined,
    own,
    place,
  }));
}

const blank = new Uint8Array(4 * 1024 * 1024);
const sized = (bytes: number): Uint8Array => blank.subarray(0, bytes);

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
  readonly #time: Pick<LogTime, "stampMs">;
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
    this.#time = options.time;
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

  seal(proposed: Entry, index: RaftIndex, term: Term, previous: Entry | undefined): Entry {
    const end = this.#endBefore(index, previous);
    if ("own" in proposed) return this.#sealOwn(proposed as OwnEntry, end, term);
    const kind = proposed.change === undefined ? batchKind.noOp : batchKind.configuration;
    const command = proposed.change === undefined ? noBytes : encodeChange(proposed.change);
    const timestampMs = Math.max(end.timestampMs, this.#time.stampMs());
    const header = { index, term, baseOffset: end.nextOffset, timestampMs, recordCount: 0, kind };
    const bytes = encodeFrame(header, command, end.crc);
    if (end === this.#log.end) this.#log.stage(bytes);
    return { index, term, bytes, change: proposed.change };
  }

  follows(first: Entry, previous: Entry | undefined): boolean {
    const { bytes, index } = first;
    const end = previous === undefined ? this.#readableEnd(index - 1) : endOfFrame(previous.bytes, 0);
    return end === undefined || checkLink(bytes, 0, end) === undefined;
  }

  /** The end behind an entry; undefined when it cannot be read. The write that follows then says what is wrong. */
  #readableEnd(index: RaftIndex): ChainEnd | undefined {
    try {
      return this.#log.endAt(index);
    } catch (reason) {
      if (reason instanceof Fault) return undefined;
      throw reason;
    }
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

  #sealOwn(proposed: OwnEntry, end: ChainEnd, term: Term): Entry {
    const { own, place } = proposed;
    if (place === 0) {
      assert(end === this.#log.end, "own entries follow what is staged");
      own.sealed = own.builder.seal(end, term, this.#time.stampMs());
      this.#log.stageOwn(own.sealed.group, own.sealed.end);
    }
    assert(own.sealed !== undefined, "a group is sealed in order");
    const { bytes, positions, first } = own.sealed.group;
    return {
      index: first + place,
      term,
      bytes: bytes.subarray(positions[place], positions[place + 1]),
      change: undefined,
    };
  }

  /** What the entry at `index` follows: staged here, or still on its way to the disk. */
  #endBefore(index: RaftIndex, previous: Entry | undefined): ChainEnd {
    const { end } = this.#log;
    // What is staged there may be stale: replaced already, but not yet cut off.
    const staged = end.index === index - 1 && (previous === undefined || previous.term === end.term);
    if (staged) return end;
    assert(previous !== undefined, "an entry follows nothing");
    return endOfFrame(previous.bytes, 0);
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
    for (const run of contiguous(entries, at)) log.stage(run);
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

/** The entries from `from` on, neighbours in one buffer as one piece. */
function contiguous(entries: readonly Entry[], from: number): Uint8Array[] {
  const runs: Uint8Array[] = [];
  let start = from;
  for (let at = from; at < entries.length; at++) {
    const bytes = entries[at]!.bytes;
    const next = entries[at + 1]?.bytes;
    const joined = next?.buffer === bytes.buffer && next.byteOffset === bytes.byteOffset + bytes.length;
    if (joined) continue;
    const first = entries[start]!.bytes;
    const length = bytes.byteOffset + bytes.length - first.byteOffset;
    runs.push(new Uint8Array(first.buffer, first.byteOffset, length));
    start = at + 1;
  }
  return runs;
}
