/**
 * What the log's content means besides its records: lowest offset, settings, configuration, producers. A fold over
 * batches, committed base plus what the uncommitted tail will add. Pure.
 *
 * Invariant: a function of the batches alone; two nodes with the same chain have the same state.
 *
 * Never: knows where a batch lies.
 */
import { assert } from "../../lib/assert.ts";
import type { Offset, RaftIndex } from "../../types.ts";
import { decodeSettings, decodeTrim, defaultSettings, type LogSettings } from "../frame/command.ts";
import {
  batchKind,
  frameBaseOffset,
  frameCommand,
  frameIndex,
  frameKind,
  frameProducer,
  frameRecordCount,
  frameTimestampMs,
} from "../frame/frame.ts";
import { type ProducerRow, ProducerTable } from "./producer-table.ts";

/** A membership configuration, of which only the room above knows the meaning. */
export interface StoredConfiguration {
  readonly index: RaftIndex;
  readonly command: Uint8Array;
}

/** The state as of one index, as it is kept in the stable store and sent to nodes that start from it. */
export interface StateCheckpoint {
  readonly index: RaftIndex;
  readonly lowest: Offset;
  readonly settings: LogSettings;
  readonly configuration: StoredConfiguration | undefined;
  readonly producers: readonly ProducerRow[];
}

export const emptyCheckpoint: StateCheckpoint = {
  index: 0,
  lowest: 0,
  settings: defaultSettings,
  configuration: undefined,
  producers: [],
};

interface Control {
  readonly index: RaftIndex;
  readonly lowest?: Offset;
  readonly settings?: LogSettings;
  readonly configuration?: StoredConfiguration;
}

type Committed = Omit<StateCheckpoint, "producers">;

export class LogState {
  readonly producers: ProducerTable;
  #committed: Committed;
  #tail: Control[] = [];

  constructor(from: Committed, producers: ProducerTable) {
    const { index, lowest, settings, configuration } = from;
    this.#committed = { index, lowest, settings, configuration };
    this.producers = producers;
  }

  static from(checkpoint: StateCheckpoint): LogState {
    return new LogState(checkpoint, new ProducerTable(checkpoint.producers));
  }

  /** Of a log whose beginning is not known: nothing but where it goes on. */
  static blank(index: RaftIndex, lowest: Offset): StateCheckpoint {
    return { ...emptyCheckpoint, index, lowest };
  }

  get committedIndex(): RaftIndex {
    return this.#committed.index;
  }

  /** The first offset that can be read; raised by committed trims only. */
  get lowest(): Offset {
    return this.#committed.lowest;
  }

  /** The configuration that was committed last. */
  get configuration(): StoredConfiguration | undefined {
    return this.#committed.configuration;
  }

  /** In force for the batch after the last one staged. */
  get settings(): LogSettings {
    return this.settingsAt(Number.MAX_SAFE_INTEGER);
  }

  /** In force for the batch at `index`, which is above what is committed. */
  settingsAt(index: RaftIndex): LogSettings {
    for (let at = this.#tail.length - 1; at >= 0; at--) {
      const { settings, index: since } = this.#tail[at]!;
      if (settings !== undefined && since < index) return settings;
    }
    return this.#committed.settings;
  }

  /** The sound frame at `at` was put at the end of the log. */
  stage(bytes: Uint8Array, at: number): void {
    const index = frameIndex(bytes, at);
    switch (frameKind(bytes, at)) {
      case batchKind.data:
        this.#stageData(bytes, at, index);
        break;
      case batchKind.trim: {
        const before = decodeTrim(frameCommand(bytes, at));
        this.#tail.push({ index, lowest: Math.min(before, frameBaseOffset(bytes, at)) });
        break;
      }
      case batchKind.settings:
        this.#tail.push({ index, settings: decodeSettings(frameCommand(bytes, at)) });
        break;
      case batchKind.configuration:
        this.#tail.push({ index, configuration: { index, command: frameCommand(bytes, at).slice() } });
        break;
      case batchKind.noOp:
        break;
    }
    // The log's first batch says where offsets begin.
    if (index === 1) this.#tail.unshift({ index, lowest: frameBaseOffset(bytes, at) });
  }

  #stageData(bytes: Uint8Array, at: number, index: RaftIndex): void {
    const stamp = frameProducer(bytes, at);
    if (stamp === undefined) return;
    this.producers.stage(stamp, {
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
    // Settings change how producers expire, so the two are folded in the order of the log.
    while (this.#tail.length > 0 && this.#tail[0]!.index <= index) {
      const control = this.#tail.shift()!;
      this.producers.commitTo(control.index, this.#committed.settings);
      this.#committed = applied(this.#committed, control);
    }
    this.producers.commitTo(index, this.#committed.settings);
    this.#committed = { ...this.#committed, index };
  }

  /** Everything from `from` on was cut off. */
  truncate(from: RaftIndex): void {
    assert(from > this.#committed.index, "a committed batch was cut off");
    this.#tail = this.#tail.filter(({ index }) => index < from);
    this.producers.truncate(from);
  }

  /** The state as of `index`, which is not below what is committed. */
  checkpointAt(index: RaftIndex): StateCheckpoint {
    assert(index >= this.#committed.index, "a checkpoint from the past");
    const copy = new LogState(this.#committed, this.producers.copy());
    copy.#tail = [...this.#tail];
    copy.commitTo(index);
    return { ...copy.#committed, producers: copy.producers.rows() };
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
