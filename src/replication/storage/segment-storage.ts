/**
 * The segmented log as Raft's storage: entries are its frames, the vote is in the stable store.
 *
 *   write → conflicting entries are truncated → new ones are staged → written and synced as one group
 *
 * Frames that arrive here are sealed or checked (see frame-format.ts). Index and term identify an entry: when a write is
 * repeated after the disk refused it, entries that are staged already are not staged again.
 */
import { Fault } from "../../fault.ts";
import { diskFault, type LogStart, type SegmentedLog } from "../../log/mod.ts";
import {
  type ConfState,
  type Entry,
  type EntryFormat,
  type InitialState,
  limitBytes,
  type RaftStorage,
  type Snapshot,
  type StorageChanges,
} from "../../raft/mod.ts";
import type { RaftIndex, Term } from "../../types.ts";
import { startIn } from "../snapshot/packed-start.ts";
import { SnapshotData } from "../snapshot/snapshot-data.ts";
import type { LogTime } from "../time/log-time.ts";
import { entryOf } from "./entries.ts";
import { FrameFormat } from "./frame-format.ts";
import { frameGroups } from "./frame-groups.ts";
import { LogFlusher, type LogFlusherOptions } from "./log-flusher.ts";
import type { StableState } from "./stable-state.ts";

/** The limit of one read of stored entries. The core reads on from where it ends. */
const readBytesMax = 1024 * 1024;

export interface SegmentStorageOptions extends LogFlusherOptions {
  readonly log: SegmentedLog;
  readonly state: StableState;
  readonly time: Pick<LogTime, "stampMs">;
}

export class SegmentStorage implements RaftStorage {
  readonly format: EntryFormat;
  readonly #log: SegmentedLog;
  readonly #state: StableState;
  readonly #flusher: LogFlusher;
  readonly #snapshotData: SnapshotData;
  #installing: Promise<void> | undefined;
  /** The entries of the last write: the core applies them next. */
  #recent: readonly Entry[] = [];

  constructor(options: SegmentStorageOptions) {
    this.#log = options.log;
    this.#state = options.state;
    this.format = new FrameFormat(options.log, options.time);
    this.#flusher = new LogFlusher(options);
    this.#snapshotData = new SnapshotData(options.log, options.clock);
    // The stored commit index of the log may be too low. A node that started below a configuration that was in force
    // would count votes with the previous one, and could be elected by nodes that were replaced long ago.
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
    const recent = this.#recentEntries(low, high);
    if (recent !== undefined) return limitBytes(recent, bytesMax);
    return this.#log.entries(low, Math.min(bytesMax, readBytesMax), high - 1).map(entryOf);
  }

  /**
   * The start of the log, for a node that lacks earlier entries: everything after it is sent as entries. Undefined also while it is
   * being packed.
   * @throws Fault "corrupt" if the rows of named logs at the start are damaged; "disk-busy" or "disk-full" if they cannot be read now
   */
  snapshot(): Snapshot | undefined {
    const { index, term } = this.#log.before;
    if (index === 0) return undefined;
    const { baseCheck } = this.#log.rows;
    if (baseCheck.fault !== undefined) throw baseCheck.fault;
    const data = this.#snapshotData.take();
    if (data === undefined) return undefined;
    return { index, term, configuration: this.#state.configurationAt(index), data };
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
    const { snapshot } = changes;
    if (snapshot === undefined) return this.#write(changes);
    // Its rows were checked on receipt.
    const start = startIn(snapshot.data);
    if (!this.#log.rows.needsPreparation(start)) {
      this.#install(snapshot, start);
      return this.#write(changes);
    }
    this.#installing = this.#installPrepared(snapshot, start).then(() => this.#write(changes));
    return this.#installing;
  }

  /** The rows of the named logs and many producers are made durable first: that takes a while, and changes nothing. */
  async #installPrepared(snapshot: Snapshot, start: LogStart): Promise<void> {
    try {
      await this.#log.rows.prepare(start);
    } catch (cause) {
      throw cause instanceof Fault ? cause : diskFault(cause);
    }
    this.#install(snapshot, start);
  }

  #write({ hardState, entries }: StorageChanges): Promise<void> | undefined {
    if (hardState !== undefined) this.#saveVote(hardState.term, hardState.vote);
    if (entries.length === 0) return undefined;
    this.#recent = [];
    this.#stageNew(entries);
    this.#recent = entries;
    let bytes = 0;
    for (const entry of entries) bytes += entry.bytes.length;
    return this.#flusher.flush(bytes);
  }

  /** Stores a committed configuration that is now in force. On a full disk in the space of the reserve. */
  saveConfiguration(index: RaftIndex, configuration: ConfState): void {
    try {
      this.#storeConfiguration(index, configuration);
    } catch (fault) {
      if (!this.#flusher.releaseReserve(fault)) throw fault;
      this.#storeConfiguration(index, configuration);
    }
  }

  /** Stops writing. Resolves when a write in progress has ended. */
  async close(): Promise<void> {
    await this.#installing?.catch(() => undefined);
    await this.#snapshotData.close();
    await this.#flusher.close();
  }

  #storeConfiguration(index: RaftIndex, configuration: ConfState): void {
    try {
      // A stored configuration means that its entry is committed, so the entry must survive a crash.
      this.#log.syncTo(index);
      this.#state.saveConfiguration(index, configuration, this.#log.firstIndex - 1);
    } catch (cause) {
      throw cause instanceof Fault ? cause : diskFault(cause);
    }
  }

  #install({ index, configuration }: Snapshot, start: LogStart): void {
    // One transaction: a log that starts later with the previous configuration would count the wrong votes.
    this.#recent = [];
    this.#log.reset(start, this.#state.withOnly(index, configuration));
  }

  /** Entries of the last write, without a look at their frames. Undefined if it does not hold all of them. */
  #recentEntries(low: RaftIndex, high: RaftIndex): readonly Entry[] | undefined {
    const first = this.#recent[0]?.index ?? high;
    if (low < first || high > first + this.#recent.length) return undefined;
    return this.#recent.slice(low - first, high - first);
  }

  #saveVote(term: Term, vote: number): void {
    try {
      this.#state.saveVote(term, vote);
    } catch (cause) {
      const fault = diskFault(cause);
      if (fault.kind === "disk-failed") throw cause;
      this.#flusher.releaseReserve(fault);
      throw fault;
    }
  }

  /** Stages the entries that the log does not have, and first truncates the entries that they replace. */
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
    for (const group of frameGroups(entries, at)) log.stageChecked(group);
  }
}
