/**
 * Writes staged frames to the segments and makes them durable.
 *
 *   write   frames to the end of the active segment; a full segment is sealed and the next one begins
 *   sync    fdatasync of its store: the frames are durable
 *   soon    the index entries (receipts) of the frames are written: no append waits for them
 *
 * Invariant: syncedIndex <= durableIndex <= the last staged index. durableIndex is ahead of syncedIndex only while
 * flushes do not sync. A failed sync, or a write of which bytes may be lost, fails the log.
 */
import { Fault } from "../../fault.ts";
import { troubleOf } from "../../lib/disk/disk.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { Offset, RaftIndex } from "../../types.ts";
import type { CommittedLog, WrittenExtent } from "../committed-log.ts";
import { batchKind, frameKind } from "../frame/frame.ts";
import { type FrameGroup, lastOfGroup } from "../frame/frame-group.ts";
import { settledLevel } from "../frame/log-command.ts";
import { zerosMaxDefault } from "../frame/zero-tail.ts";
import type { LastBatch } from "../index/segment-index.ts";
import type { LogMeter } from "../log-meter.ts";
import type { ActiveSegment } from "../segment/active-segment.ts";
import { diskFault } from "../segment/disk-fault.ts";
import type { SegmentSet } from "../segment/segment-set.ts";
import type { DiskHealth } from "./disk-health.ts";
import type { StagedFrames } from "./staged-frames.ts";

/** The index file is synced after receipts for this many bytes of frames, or when the log is idle. */
const indexSyncBytes = 8 * 1024 * 1024;
/** How long synced frames may be without receipts. Those of all groups of this time are one write. */
const receiptsMs = 5;

export interface LogWriterParts {
  readonly set: SegmentSet;
  readonly staged: StagedFrames;
  readonly committed: CommittedLog;
  readonly health: DiskHealth;
  readonly meter: LogMeter | undefined;
  /** Without it, receipts are written with their group. */
  readonly clock?: Pick<Clock, "after"> | undefined;
  /** See SegmentedLogOptions. */
  readonly zerosMax?: number | undefined;
}

export class LogWriter implements WrittenExtent {
  readonly #set: SegmentSet;
  readonly #staged: StagedFrames;
  readonly #committed: CommittedLog;
  readonly #health: DiskHealth;
  readonly #meter: LogMeter | undefined;
  readonly #clock: Pick<Clock, "after"> | undefined;
  readonly #zerosMax: number;
  #receiptsTimer: Timer | undefined;
  #durableIndex: RaftIndex;
  #syncedIndex: RaftIndex;
  /** How often written frames were cut off or replaced. */
  #cuts = 0;
  /** Bytes of frames whose receipts are not synced. */
  #unsyncedIndexBytes = 0;

  constructor({ set, staged, committed, health, meter, clock, zerosMax = zerosMaxDefault }: LogWriterParts) {
    this.#set = set;
    this.#staged = staged;
    this.#committed = committed;
    this.#health = health;
    this.#meter = meter;
    this.#clock = clock;
    this.#zerosMax = zerosMax;
    this.#durableIndex = set.end.index;
    this.#syncedIndex = set.end.index;
  }

  /** The last index that is written and, unless flush() was called with `sync` false, synced. */
  get durableIndex(): RaftIndex {
    return this.#durableIndex;
  }

  /** The last index that is synced. */
  get syncedIndex(): RaftIndex {
    return this.#syncedIndex;
  }

  /** See SegmentedLog.prepare(). */
  prepare(bytes: number, batches: number, nowMs: number): Fault | undefined {
    if (!this.#health.usable) return undefined;
    const ahead = { bytes, batches };
    for (const group of this.#staged.groups) {
      ahead.bytes += group.bytes.length;
      ahead.batches += group.positions.length - 1;
    }
    const timestampMs = Math.max(nowMs, this.#staged.end.timestampMs);
    if (!this.#set.couldRoll(ahead, timestampMs, this.#committed.state.settings)) return undefined;
    return this.#prepareRoll();
  }

  /** See SegmentedLog.retryRefused(). */
  retryRefused(): Fault | undefined {
    const { refusal, usable } = this.#health;
    if (refusal === undefined || !usable) return undefined;
    // The owner retries the write of staged frames itself.
    return this.#staged.groups.length > 0 ? refusal : this.#prepareRoll();
  }

  #prepareRoll(): Fault | undefined {
    try {
      this.#set.prepareRoll();
      this.#health.accepted();
      return undefined;
    } catch (reason) {
      // Nothing was written yet, so no error code means that bytes are lost.
      const isLoss = troubleOf(reason) === "lost";
      return this.#health.refused(isLoss ? new Fault("disk-busy", { cause: reason }) : diskFault(reason));
    }
  }

  /** See SegmentedLog.flushNow(). */
  flushNow(sync: boolean): void {
    this.#health.checkUsable();
    const { groups } = this.#staged;
    const flush = this.#meter?.flushing(groups, this.#writtenOffset);
    try {
      try {
        for (const part of this.#parts(groups))
          this.#set.active!.write(part, sync ? this.#zerosBehind(part) : 0);
      } catch (reason) {
        this.#writeFailed(reason);
      }
      if (sync) this.syncActive();
      this.#flushed(groups, sync);
    } catch (reason) {
      flush?.failed(reason);
      throw reason;
    }
    flush?.done(this.#writtenOffset);
  }

  /**
   * Does the same off the event loop. If everything before is synced, write and sync are one step. Should its error be one of the
   * sync, then only bytes of this write can be lost, and these are cut off.
   */
  async flush(sync: boolean): Promise<void> {
    this.#health.checkUsable();
    const groups = [...this.#staged.groups];
    const flush = this.#meter?.flushing(groups, this.#writtenOffset);
    const isOneStep = sync && this.#syncedIndex >= this.#set.end.index;
    try {
      try {
        for (const part of this.#parts(groups)) {
          if (isOneStep) await this.#writeSynced(part);
          else await this.#set.active!.writeAsync(part);
        }
      } catch (reason) {
        this.#writeFailed(reason);
      }
      const { active } = this.#set;
      if (sync && !isOneStep && active !== undefined) await this.#syncAsync(active);
      this.#flushed(groups, sync);
    } catch (reason) {
      flush?.failed(reason);
      throw reason;
    }
    flush?.done(this.#writtenOffset);
  }

  /** Syncs what flush(false) has only written. */
  async syncWritten(): Promise<void> {
    const { active } = this.#set;
    if (active === undefined || !this.#health.usable) return;
    const { index } = active.end;
    const cuts = this.#cuts;
    await this.#syncAsync(active);
    // What was cut off meanwhile may have been replaced by frames that are only written.
    if (cuts === this.#cuts) this.#syncedIndex = Math.max(this.#syncedIndex, index);
    if (this.#set.active?.end.index === index) this.#writeReceipts();
    this.#committed.saveAtBoundary(this);
  }

  /** See SegmentedLog.syncTo(). */
  syncTo(index: RaftIndex): void {
    if (index <= this.#syncedIndex || this.#health.closed) return;
    this.#health.checkUsable();
    this.syncActive();
  }

  /** Syncs the active segment now. */
  syncActive(): void {
    const { active } = this.#set;
    if (active === undefined) return;
    const beganMs = this.#meter?.nowMs() ?? 0;
    try {
      active.sync();
    } catch (reason) {
      throw this.#health.failed(reason);
    }
    this.#syncedIndex = Math.max(this.#syncedIndex, active.end.index);
    this.#meter?.synced(beganMs);
  }

  /** Syncs the index file of the active segment, with the receipts of all synced frames. */
  syncIndex(): void {
    if (this.#unsyncedIndexBytes === 0 || !this.#health.usable) return;
    this.#putReceipts();
    try {
      this.#set.active?.syncIndex();
    } catch (reason) {
      throw this.#health.failed(reason);
    }
    this.#unsyncedIndexBytes = 0;
  }

  /** Makes everything that is written durable, receipts included, before the log is closed. */
  finish(): void {
    this.#receiptsTimer?.cancel();
    try {
      this.#set.active?.cutZeros();
    } catch (reason) {
      throw this.#health.failed(reason);
    }
    this.syncActive();
    this.#writeReceipts();
    this.syncIndex();
  }

  /** Cuts off the frames from `from` on, durably. The log ends at `end` then. Throws what the disk throws. */
  truncate(from: RaftIndex, end: ReturnType<StagedFrames["endAt"]>): void {
    if (from > this.#durableIndex) return;
    this.#set.truncate(from, end);
    this.#durableIndex = from - 1;
    this.#syncedIndex = Math.min(this.#syncedIndex, from - 1);
    this.#cuts++;
    this.#committed.reader.clearCaches();
  }

  /** The segments were replaced by a log that ends at `index`. */
  reset(index: RaftIndex): void {
    this.#durableIndex = index;
    this.#syncedIndex = index;
    this.#cuts++;
  }

  /** Yields what to write to the active segment. The caller writes each part before it asks for the next. */
  *#parts(groups: readonly FrameGroup[]): Generator<Uint8Array> {
    const { state } = this.#committed;
    const lastBatch: LastBatch = (id, before) => state.logs.lastBatch(id, before);
    this.#set.markLevel(state.logs.stagedLevel);
    if (this.#set.levelHeld < settledLevel && groups.some(hasSettled)) this.#set.markLevel(settledLevel);
    for (const group of groups) {
      const { bytes, positions, first } = group;
      const frames = positions.length - 1;
      let k = Math.max(0, this.#durableIndex + 1 - first);
      if (this.#set.active !== undefined) k = Math.max(k, this.#set.end.index + 1 - first);
      while (k < frames) {
        if (this.#set.mustRoll(bytes, positions[k]!, state)) this.#roll(bytes, positions[k]!);
        const active = this.#set.active!;
        const end = this.#set.runFrom(k, bytes, positions, state);
        const part = bytes.subarray(positions[k]!, positions[end]!);
        yield part;
        active.enter(group, k, end, lastBatch);
        k = end;
        this.#unsyncedIndexBytes += part.length;
      }
    }
  }

  #roll(bytes: Uint8Array, at: number): void {
    this.syncActive();
    const { state, commitIndex } = this.#committed;
    this.#set.roll(bytes, at, state, commitIndex, (reason) => this.#health.failed(reason));
    this.#unsyncedIndexBytes = 0;
    this.#committed.rolled();
  }

  #zerosBehind(part: Uint8Array): number {
    const { segmentStoreBytesMax } = this.#committed.state.settings;
    return this.#set.active!.zerosBehind(part.length, segmentStoreBytesMax, this.#zerosMax);
  }

  async #writeSynced(part: Uint8Array): Promise<void> {
    const beganMs = this.#meter?.nowMs() ?? 0;
    await this.#set.active!.writeSyncedAsync(part, this.#zerosBehind(part));
    this.#meter?.synced(beganMs);
  }

  async #syncAsync(active: ActiveSegment): Promise<void> {
    const beganMs = this.#meter?.nowMs() ?? 0;
    try {
      await active.syncAsync();
    } catch (reason) {
      throw this.#health.failed(reason);
    }
    this.#meter?.synced(beganMs);
  }

  /** The offset after the last record that was written. */
  get #writtenOffset(): Offset {
    return this.#set.end.nextOffset;
  }

  /** The groups are written and, if `synced`, durable: first the indexes, then the commit, and the receipts soon. */
  #flushed(groups: readonly FrameGroup[], synced: boolean): void {
    const last = groups[groups.length - 1];
    if (last === undefined) return;
    this.#staged.written(groups.length);
    this.#durableIndex = lastOfGroup(last);
    if (synced) this.#syncedIndex = Math.max(this.#syncedIndex, this.#durableIndex);
    this.#health.accepted();
    if (synced) this.#writeReceiptsSoon();
    this.#committed.advance(this);
  }

  #writeReceiptsSoon(): void {
    if (this.#clock === undefined) this.#writeReceipts();
    else this.#receiptsTimer ??= this.#clock.after(receiptsMs, this.#onReceiptsDue);
  }

  readonly #onReceiptsDue = (): void => {
    this.#receiptsTimer = undefined;
    if (!this.#health.usable) return;
    try {
      this.#writeReceipts();
    } catch {
      // The log has failed, which its owner is told.
    }
  };

  #writeReceipts(): void {
    this.#putReceipts();
    if (this.#unsyncedIndexBytes >= indexSyncBytes) this.syncIndex();
  }

  #putReceipts(): void {
    try {
      this.#set.active?.writeReceipts(this.#syncedIndex);
    } catch (reason) {
      // The frames are durable without receipts. Receipts that the disk refused are written with the next ones.
      if (troubleOf(reason) === "lost") throw this.#health.failed(reason);
    }
  }

  /** Keeps the whole frames that were written, makes them durable, and cuts off a part of a frame. */
  #writeFailed(reason: unknown): never {
    const { failure } = this.#health;
    if (failure !== undefined || troubleOf(reason) === "lost") throw failure ?? this.#health.failed(reason);
    const { active } = this.#set;
    if (active !== undefined) {
      try {
        active.cutBack();
      } catch (second) {
        throw this.#health.failed(second);
      }
      this.#durableIndex = Math.max(this.#durableIndex, active.end.index);
      this.#syncedIndex = Math.max(this.#syncedIndex, active.end.index);
      this.#writeReceipts();
      this.#staged.writtenTo(this.#durableIndex);
    }
    throw this.#health.faultOf(reason);
  }
}

/** A leader can send settled frames that come before the level which says so. */
const hasSettled = ({ bytes, positions }: FrameGroup): boolean => {
  for (let k = 0; k < positions.length - 1; k++)
    if (frameKind(bytes, positions[k]!) === batchKind.settled) return true;
  return false;
};
