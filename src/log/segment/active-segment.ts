/**
 * The active segment: the last one, which is written at its end.
 *
 * Invariant: the index file holds entries of synced frames only, so each entry is a receipt.
 */
import type { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import { certain, type DiskFile, syncFile, syncFileAside, troubleOf } from "../../lib/disk/disk.ts";
import type { LogId, Offset, RaftIndex, SegmentDescription } from "../../types.ts";
import { type ChainEnd, defaultAfter, linkOfFrame } from "../frame/chain.ts";
import { batchKind, frameKind } from "../frame/frame.ts";
import type { FrameGroup } from "../frame/frame-group.ts";
import { zerosBehind } from "../frame/zero-tail.ts";
import { encodeFooter, indexHeaderBytes, type SealFacts } from "../index/index-file.ts";
import type { ActiveLogIndex, LogBatches } from "../index/log-index.ts";
import { type ActiveIndex, entryBytes, lastAtOrBefore, type OffsetIndex } from "../index/offset-index.ts";
import { encodeLogIndex } from "../index/sealed-log-index.ts";
import { enterFrame, enterNamed, isNamedBatch, type LastBatch } from "../index/segment-index.ts";
import type { SegmentFill } from "./roll-policy.ts";
import { firstOf, readStore, type Segment, type SegmentMeta, type SettledFrames } from "./segment.ts";
import type { SegmentFiles } from "./segment-files.ts";

/** What an active segment holds when it is opened. */
export interface ActiveExtent {
  readonly bytes: number;
  readonly end: ChainEnd;
  /** How many entries the index file holds. */
  readonly receipts: number;
  /** Its settled frames. Default: none. */
  readonly settled?: SettledFrames | undefined;
}

export class ActiveSegment implements Segment {
  readonly meta: SegmentMeta;
  readonly index: ActiveIndex;
  readonly logs: ActiveLogIndex;
  readonly path: string;
  readonly #files: SegmentFiles;
  readonly #store: DiskFile;
  readonly #indexFile: DiskFile;
  /** Bytes of the written frames. */
  bytes: number;
  /** The end of the log after the written frames. */
  end: ChainEnd;
  /** The size of the store: larger than `bytes` while zeros are behind the frames. */
  #fileBytes: number;
  /** The disk had no space for zeros. */
  #areZerosRefused = false;
  /** How many entries the index file holds. */
  #receipts: number;
  /** Bytes of the records of named logs. */
  #namedBytes: number;
  /** The settled frames that were there when it was opened. They are committed: no cut reaches them. */
  readonly #settledBefore: SettledFrames;
  /** The entries of those that were written since. */
  #settledSince: number[] = [];

  /** Opens both files. Throws what the disk throws; then both files are closed. */
  static open(
    meta: SegmentMeta,
    index: ActiveIndex,
    logs: ActiveLogIndex,
    files: SegmentFiles,
    at: ActiveExtent,
  ): ActiveSegment {
    const store = files.disk.open(files.storePath(firstOf(meta)), "write");
    try {
      const indexFile = files.disk.open(files.indexPath(firstOf(meta)), "write");
      return new ActiveSegment(meta, index, logs, files, at, { store, index: indexFile });
    } catch (reason) {
      store.close();
      throw reason;
    }
  }

  /** Becomes the owner of the two files, which are open for writing. */
  constructor(
    meta: SegmentMeta,
    index: ActiveIndex,
    logs: ActiveLogIndex,
    files: SegmentFiles,
    at: ActiveExtent,
    opened: { readonly store: DiskFile; readonly index: DiskFile },
  ) {
    this.meta = meta;
    this.index = index;
    this.logs = logs;
    this.path = files.storePath(firstOf(meta));
    this.#files = files;
    this.#store = opened.store;
    this.#indexFile = opened.index;
    this.bytes = at.bytes;
    this.#fileBytes = at.bytes;
    this.end = at.end;
    this.#receipts = at.receipts;
    this.#namedBytes = logs.bytesIn(index, at.bytes);
    this.#settledBefore = at.settled ?? { frames: 0, bytes: 0 };
  }

  get first(): RaftIndex {
    return firstOf(this.meta);
  }

  get baseOffset(): Offset {
    return this.meta.before.nextOffset;
  }

  get nextOffset(): Offset {
    return this.end.nextOffset;
  }

  /** Without the records of named logs. */
  get defaultBytes(): number {
    return this.bytes - this.#namedBytes;
  }

  get settled(): SettledFrames | undefined {
    const { index } = this;
    let { frames, bytes } = this.#settledBefore;
    for (const k of this.#settledSince) {
      frames++;
      bytes += (k + 1 < index.length ? index.position(k + 1) : this.bytes) - index.position(k);
    }
    return frames === 0 ? undefined : { frames, bytes };
  }

  /** The timestamp of the last batch with records. Retention by age does not count commands. */
  get lastTimestampMs(): number {
    const k = lastAtOrBefore(this.index, this.nextOffset - 1);
    return k < 0 ? this.meta.baseTimestampMs : this.index.timestampMs(k);
  }

  /** How full it is. */
  get fill(): SegmentFill {
    const { index, bytes, nextOffset, logs } = this;
    const named = { namedLogs: logs.touched, namedFrames: logs.frames, namedCommands: logs.commands };
    return { base: index.base, bytes, entries: index.length, nextOffset, ...named };
  }

  lookup<T>(find: (index: OffsetIndex) => T): T {
    return find(this.index);
  }

  batchesOf(id: LogId): LogBatches | undefined {
    return this.logs.find(id);
  }

  /** Its log index is in memory. */
  willReadLogs(): void {}

  prepareLogs(): boolean {
    return true;
  }

  logIds(): Iterable<LogId> {
    return this.logs.ids();
  }

  read(target: Uint8Array, position: number): number {
    return readStore(this, this.#store, target, position);
  }

  willRead(position: number, bytes: number): void {
    this.#store.willRead?.(position, bytes);
  }

  describe(): SegmentDescription {
    return {
      baseOffset: this.baseOffset,
      nextOffset: this.nextOffset,
      bytes: this.bytes,
      indexEntries: this.index.length,
      sealed: false,
      firstTimestampMs: this.meta.baseTimestampMs,
      lastTimestampMs: this.end.timestampMs,
    };
  }

  damaged(position: number, why: string): Fault {
    return this.#files.damage.report(this.first, { path: this.path, position, why });
  }

  /** How many zeros to write behind so many bytes of frames. See zero-tail.ts. */
  zerosBehind(bytes: number, segmentBytesMax: number, zerosMax: number): number {
    if (this.#areZerosRefused) return 0;
    const { bytes: position } = this;
    return zerosBehind({ position, bytes, fileBytes: this.#fileBytes, segmentBytesMax, zerosMax });
  }

  /** Writes frames at the end of the store, and zeros behind them. Call enter() afterwards. */
  write(frames: Uint8Array, zeros = 0): void {
    if (zeros > 0) {
      try {
        this.#store.write(withZeros(frames, zeros), this.bytes);
        this.#fileBytes = this.bytes + frames.length + zeros;
        return;
      } catch (reason) {
        this.#zerosRefused(reason);
      }
    }
    this.#store.write(frames, this.bytes);
  }

  writeAsync(frames: Uint8Array): Promise<void> {
    return this.#store.writeAsync(frames, this.bytes);
  }

  /** As write(). Makes these frames durable as well, and nothing that was written before. */
  async writeSyncedAsync(frames: Uint8Array, zeros = 0): Promise<void> {
    if (zeros > 0) {
      try {
        await this.#store.writeSyncedAsync(withZeros(frames, zeros), this.bytes);
        this.#fileBytes = this.bytes + frames.length + zeros;
        return;
      } catch (reason) {
        this.#zerosRefused(reason);
      }
    }
    await this.#store.writeSyncedAsync(frames, this.bytes);
  }

  /** The frames are tried alone, unless bytes may be lost. What was written of the zeros stays, and is cut off with the others. */
  #zerosRefused(reason: unknown): void {
    if (troubleOf(reason) !== "full") throw reason;
    this.#areZerosRefused = true;
    this.#fileBytes = Number.POSITIVE_INFINITY;
  }

  /**
   * Adds the written frames `from … to−1` of a group to the indexes and the extent. `lastBatch` returns the last batch of a log
   * before a frame.
   */
  enter({ bytes, positions }: FrameGroup, from: number, to: number, lastBatch: LastBatch): void {
    const before = { nextOffset: this.end.nextOffset };
    for (let k = from; k < to; k++) {
      const at = positions[k]!;
      const length = positions[k + 1]! - at;
      const flaw = enterFrame(this.index, bytes, at, this.bytes, before);
      assert(flaw === undefined, "a frame was written to a segment that cannot describe it");
      enterNamed(this.logs, this.index.length - 1, bytes, at, lastBatch);
      if (isNamedBatch(bytes, at)) this.#namedBytes += length;
      if (frameKind(bytes, at) === batchKind.settled) this.#settledSince.push(this.index.length - 1);
      this.bytes += length;
      before.nextOffset = defaultAfter(bytes, at, before.nextOffset);
    }
    this.end = { ...linkOfFrame(bytes, positions[to - 1]!), ...before };
  }

  sync(): void {
    syncFile(this.#store);
  }

  syncAsync(): Promise<void> {
    return syncFileAside(this.#store);
  }

  /** Writes the entries of all frames up to this Raft index to the index file. These frames must be synced. Default: of all. */
  writeReceipts(synced: RaftIndex = this.end.index): void {
    const length = Math.min(this.index.length, synced + 1 - this.first);
    if (this.#receipts >= length) return;
    const at = indexHeaderBytes + entryBytes * this.#receipts;
    this.#indexFile.write(this.index.bytes(this.#receipts, length), at);
    this.#receipts = length;
  }

  /** After recovery: cuts the index file to the receipts that stay, and adds those of frames that were rewritten. */
  settleReceipts(): void {
    this.#indexFile.truncate(indexHeaderBytes + entryBytes * this.#receipts);
    this.writeReceipts();
    this.syncIndex();
  }

  syncIndex(): void {
    syncFile(this.#indexFile);
  }

  /** Cuts off what a failed write may have left behind the end, and syncs. */
  cutBack(): void {
    this.#store.truncate(this.bytes);
    syncFile(this.#store);
    this.#fileBytes = this.bytes;
  }

  /** Cuts off the zeros behind the frames. Not durably: without a sync they can be back after a power failure. */
  cutZeros(): void {
    if (this.#fileBytes <= this.bytes) return;
    this.#store.truncate(this.bytes);
    this.#fileBytes = this.bytes;
  }

  /**
   * Cuts off everything from entry `k` on, durably. `end` is the end of what stays. The receipts are cut first, so that no
   * receipt is left without its frame.
   */
  truncate(k: number, end: ChainEnd): void {
    const bytes = this.index.position(k);
    this.index.truncate(k);
    this.logs.truncate(k);
    this.#settledSince = this.#settledSince.filter((ordinal) => ordinal < k);
    this.#namedBytes = this.logs.bytesIn(this.index, bytes);
    this.#receipts = Math.min(this.#receipts, k);
    this.#indexFile.truncate(indexHeaderBytes + entryBytes * this.#receipts);
    syncFile(this.#indexFile);
    this.#store.truncate(bytes);
    syncFile(this.#store);
    this.bytes = bytes;
    this.#fileBytes = bytes;
    this.end = end;
  }

  /**
   * Makes store and indexes complete and durable. Returns what the catalog holds of the sealed segment. `mayNameLogs`: the log
   * can have named logs.
   */
  seal(directoryId: Uint8Array, mayNameLogs: boolean): SegmentMeta {
    certain(() => this.cutZeros());
    this.sync();
    this.writeReceipts();
    const seal: SealFacts = {
      entries: this.index.length,
      nextOffset: this.end.nextOffset,
      lastTimestampMs: this.end.timestampMs,
      storeBytes: this.bytes,
      lastCrc: this.end.crc,
      lastTerm: this.end.term,
    };
    const { first, logs, index } = this;
    const namedBatches = logs.entries;
    if (namedBatches > 0) {
      const file = encodeLogIndex(logs, { directoryId, first, store: seal }, index);
      this.#files.replace(this.#files.logsPath(first), file);
    }
    const body = new Uint8Array(indexHeaderBytes + entryBytes * this.index.length);
    this.#indexFile.read(body.subarray(0, indexHeaderBytes), 0);
    body.set(this.index.bytes(0, this.index.length), indexHeaderBytes);
    const footer = encodeFooter(body, seal);
    this.#indexFile.write(footer, body.length);
    this.#indexFile.truncate(body.length + footer.length);
    syncFile(this.#indexFile);
    const named = { namedBatches, namedBytes: this.#namedBytes };
    const { settled } = this;
    return {
      ...this.meta,
      seal,
      ...(settled === undefined ? {} : { settled }),
      ...(namedBatches > 0 ? named : {}),
      ...(mayNameLogs ? { namesLogs: this.logs.touched > 0 } : {}),
    };
  }

  /** Undoes seal() for a segment that stays active: its footer must not be read as receipts. */
  unseal(): void {
    this.#indexFile.truncate(indexHeaderBytes + entryBytes * this.#receipts);
    syncFile(this.#indexFile);
  }

  close(): void {
    this.#store.close();
    this.#indexFile.close();
  }
}

function withZeros(frames: Uint8Array, zeros: number): Uint8Array {
  const bytes = new Uint8Array(frames.length + zeros);
  bytes.set(frames);
  return bytes;
}
