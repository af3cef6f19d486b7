/**
 * The state that the log's batches define: lowest offset, settings, configuration, producers. It is the committed state,
 * plus the changes that the uncommitted batches will make. Pure.
 *
 * Invariant: the state is a function of the batches alone, so two nodes with the same chain have the same state.
 */
import { assert } from "../../lib/assert.ts";
import type { LogId, Offset, RaftIndex } from "../../types.ts";
import type { LogFlaw } from "../frame/chain.ts";
import { decodeSettings, decodeTrim, defaultSettings, type LogSettings } from "../frame/command.ts";
import {
  batchKind,
  frameBaseOffset,
  frameCommand,
  frameIndex,
  frameKind,
  frameLogId,
  frameProducer,
  frameRecordCount,
  frameTimestampMs,
} from "../frame/frame.ts";
import type { CommittedRows } from "./committed-rows.ts";
import { LogTable } from "./log-table.ts";
import type { ProducerRow } from "./produced-batch.ts";
import { type FrozenProducers, ProducerTable } from "./producer-table.ts";
import type { TableHead } from "./row-codec.ts";

/** A membership configuration. The raft module knows its content. */
export interface StoredConfiguration {
  readonly index: RaftIndex;
  readonly command: Uint8Array;
}

/** The state as of one index, as it is saved in the stable store and sent to nodes that start from it. */
export interface StateCheckpoint {
  readonly index: RaftIndex;
  readonly lowest: Offset;
  readonly settings: LogSettings;
  readonly configuration: StoredConfiguration | undefined;
  readonly producers: readonly ProducerRow[];
  /** The table of named logs without its rows; absent before the first level, as in the first format. */
  readonly logs?: TableHead;
}

export const emptyCheckpoint: StateCheckpoint = {
  index: 0,
  lowest: 0,
  settings: defaultSettings,
  configuration: undefined,
  producers: [],
};

/** The state without its producers: a file has them. */
export type CheckpointHead = Omit<StateCheckpoint, "producers">;

interface Control {
  readonly index: RaftIndex;
  readonly lowest?: Offset;
  readonly settings?: LogSettings;
  readonly configuration?: StoredConfiguration;
}

type Committed = Omit<StateCheckpoint, "producers" | "logs">;

export class LogState {
  readonly producers: ProducerTable;
  readonly logs: LogTable;
  /** Called with the ids of the named logs that changed, after each commit that changed any. */
  onLogsChanged: ((ids: ReadonlySet<LogId>) => void) | undefined;
  #committed: Committed;
  #uncommitted: Control[] = [];
  #freeze:
    | { readonly boundary: RaftIndex; readonly frozen: (producers: FrozenProducers) => void }
    | undefined;

  constructor(from: Committed, producers: ProducerTable, logs: LogTable) {
    const { index, lowest, settings, configuration } = from;
    this.#committed = { index, lowest, settings, configuration };
    this.producers = producers;
    this.logs = logs;
  }

  /** `rows`: those of the named logs at the checkpoint. `table`: that of its producers, if it was built already. */
  static from(checkpoint: StateCheckpoint, rows?: CommittedRows, table?: ProducerTable): LogState {
    const { producers, logs } = checkpoint;
    return new LogState(checkpoint, table ?? new ProducerTable(producers), new LogTable(logs, rows));
  }

  /** The state of a log whose start is unknown. */
  static blank(index: RaftIndex, lowest: Offset): StateCheckpoint {
    return { ...emptyCheckpoint, index, lowest };
  }

  get committedIndex(): RaftIndex {
    return this.#committed.index;
  }

  /** The first offset that can be read. Only committed trims raise it. */
  get lowest(): Offset {
    return this.#committed.lowest;
  }

  /** The last committed configuration. */
  get configuration(): StoredConfiguration | undefined {
    return this.#committed.configuration;
  }

  /** The settings for the batch after the last staged one. */
  get settings(): LogSettings {
    return this.settingsAt(Number.MAX_SAFE_INTEGER);
  }

  /** The settings for the batch at `index`, which is above the committed index. */
  settingsAt(index: RaftIndex): LogSettings {
    for (let at = this.#uncommitted.length - 1; at >= 0; at--) {
      const { settings, index: since } = this.#uncommitted[at]!;
      if (settings !== undefined && since < index) return settings;
    }
    return this.#committed.settings;
  }

  /**
   * Adds the checked frame at `at`, the next one of the log. It is not committed yet. A frame of a named log that does not
   * fit its row is not added. Returns why.
   */
  stage(bytes: Uint8Array, at: number): LogFlaw | undefined {
    const index = frameIndex(bytes, at);
    if (frameLogId(bytes, at) !== 0) {
      const flaw = this.logs.stage(bytes, at);
      if (flaw !== undefined) return flaw;
    }
    switch (frameKind(bytes, at)) {
      case batchKind.data:
      case batchKind.settled:
        this.#stageData(bytes, at, index);
        break;
      case batchKind.trim: {
        const before = decodeTrim(frameCommand(bytes, at));
        this.#uncommitted.push({ index, lowest: Math.min(before, frameBaseOffset(bytes, at)) });
        break;
      }
      case batchKind.settings:
        this.#uncommitted.push({ index, settings: decodeSettings(frameCommand(bytes, at)) });
        break;
      case batchKind.configuration:
        this.#uncommitted.push({ index, configuration: { index, command: frameCommand(bytes, at).slice() } });
        break;
      case batchKind.level:
        this.logs.stageLevel(bytes, at);
        break;
      default:
        break;
    }
    // The log's first batch defines where offsets begin.
    if (index === 1) this.#uncommitted.unshift({ index, lowest: frameBaseOffset(bytes, at) });
    return undefined;
  }

  #stageData(bytes: Uint8Array, at: number, index: RaftIndex): void {
    const stamp = frameProducer(bytes, at);
    if (stamp === undefined) return;
    const logId = frameLogId(bytes, at);
    this.producers.stage(logId === 0 ? stamp : { ...stamp, logId }, {
      index,
      sequence: stamp.sequence,
      count: frameRecordCount(bytes, at),
      firstOffset: frameBaseOffset(bytes, at),
      timestampMs: frameTimestampMs(bytes, at),
    });
  }

  /** Everything up to `index` is committed. */
  commitTo(index: RaftIndex): void {
    if (index <= this.#committed.index) return;
    const freeze = this.#freeze;
    if (freeze !== undefined && index > freeze.boundary) {
      this.#freeze = undefined;
      this.#fold(freeze.boundary);
      for (const id of this.logs.deletedUpTo(freeze.boundary)) this.producers.forgetLog(id);
      freeze.frozen(this.producers.freeze());
    }
    this.#fold(index);
    const changed = this.logs.commitTo(index);
    if (changed.size === 0) return;
    for (const id of changed) if (this.logs.row(id) === undefined) this.producers.forgetLog(id);
    this.onLogsChanged?.(changed);
  }

  /**
   * Freezes the producers as they are after the frame at `boundary`, which is not below the committed index, once a later frame is
   * committed: a segment that begins after it is never cut off then. Replaces an earlier request.
   */
  freezeProducers(boundary: RaftIndex, frozen: (producers: FrozenProducers) => void): void {
    this.#freeze = { boundary, frozen };
  }

  /** Commits everything but the named logs. */
  #fold(index: RaftIndex): void {
    // Settings change how producers expire, so both are folded in the order of the log.
    while (this.#uncommitted.length > 0 && this.#uncommitted[0]!.index <= index) {
      const control = this.#uncommitted.shift()!;
      this.producers.commitTo(control.index, this.#committed.settings);
      this.#committed = applied(this.#committed, control);
    }
    this.producers.commitTo(index, this.#committed.settings);
    this.#committed = { ...this.#committed, index };
  }

  /** Everything from `from` on was cut off. It was not committed. */
  truncate(from: RaftIndex): void {
    assert(from > this.#committed.index, "a committed batch was cut off");
    this.#uncommitted = this.#uncommitted.filter(({ index }) => index < from);
    // The next segment may begin elsewhere.
    if (this.#freeze !== undefined && from <= this.#freeze.boundary + 1) this.#freeze = undefined;
    this.producers.truncate(from);
    this.logs.truncate(from);
  }

  /** The state as of `index`, which is not below the committed index. */
  checkpointAt(index: RaftIndex): StateCheckpoint {
    assert(index >= this.#committed.index, "a checkpoint below the committed index");
    const copy = new LogState(this.#committed, this.producers.copy(), new LogTable());
    copy.#uncommitted = [...this.#uncommitted];
    copy.commitTo(index);
    for (const id of this.logs.deletedUpTo(index)) copy.producers.forgetLog(id);
    const head = this.logs.headAt(index);
    return {
      ...copy.#committed,
      producers: copy.producers.rows(),
      ...(head.level === 0 ? {} : { logs: head }),
    };
  }

  /** The same without the producers. It costs the same for any number of them. */
  headAt(index: RaftIndex): CheckpointHead {
    assert(index >= this.#committed.index, "a checkpoint below the committed index");
    let state = this.#committed;
    for (const control of this.#uncommitted) if (control.index <= index) state = applied(state, control);
    const head = this.logs.headAt(index);
    return { ...state, index, ...(head.level === 0 ? {} : { logs: head }) };
  }
}

function applied(state: Committed, control: Control): Committed {
  return {
    index: control.index,
    lowest: Math.max(state.lowest, control.lowest ?? 0),
    settings: control.settings ?? state.settings,
    configuration: control.configuration ?? state.configuration,
  };
}
