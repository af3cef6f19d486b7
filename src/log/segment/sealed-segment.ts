/**
 * A sealed segment: complete and read-only. Its files are opened when they are read. An index that is missing or damaged
 * is rebuilt from the store. Settling replaces both files by smaller ones that say the same (SETTLING.md). So a position is used
 * only in the turn in which it was looked up.
 */
import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import { type DiskFile, errorCode, syncNames, troubleOf } from "../../lib/disk/disk.ts";
import type { LogId, Offset, RaftIndex, SegmentDescription } from "../../types.ts";
import { type ChainEnd, scanStore } from "../frame/chain.ts";
import { DamagedPage, decodeFooter, encodeFooter, SealedIndex, type SealFacts } from "../index/index-file.ts";
import { ActiveLogIndex, type LogBatches } from "../index/log-index.ts";
import { ActiveIndex, type OffsetIndex } from "../index/offset-index.ts";
import { SealedLogs } from "../index/sealed-logs.ts";
import { indexBody, indexer } from "../index/segment-index.ts";
import { baseOf, firstOf, readStore, type Segment, type SegmentMeta, unreadable } from "./segment.ts";
import type { SegmentFiles } from "./segment-files.ts";

/** The sealed segments of a log as they are now. A log index that is rebuilt links to the ones before. */
export interface SealedSegments {
  sealed: readonly SealedSegment[];
}

/** The store of a segment as it was when it was opened. */
export interface StoreToScan extends Pick<DiskFile, "read" | "willRead" | "close"> {
  readonly bytes: number;
  readonly meta: SegmentMeta;
  readonly seal: SealFacts;
}

/** An index of another store of the segment, before or after it was settled, has other positions. */
const describesStore = (index: SealFacts, store: SealFacts): boolean =>
  index.entries === store.entries && index.lastCrc === store.lastCrc && index.storeBytes === store.storeBytes;

export class SealedSegment implements Segment {
  #meta: SegmentMeta;
  #seal: SealFacts;
  readonly #files: SegmentFiles;
  readonly #directoryId: Uint8Array;
  #index: { readonly file: object; readonly index: SealedIndex } | undefined;
  #storeChecked = false;
  #isGone = false;
  /** The first so many logs of logIds() need nothing of it any more. */
  deadLogs = 0;
  readonly #logs: SealedLogs;

  constructor(meta: SegmentMeta, files: SegmentFiles, directoryId: Uint8Array, all: SealedSegments) {
    assert(meta.seal !== undefined, "not sealed");
    this.#meta = meta;
    this.#seal = meta.seal;
    this.#files = files;
    this.#directoryId = directoryId;
    this.#logs = new SealedLogs(this, files, directoryId, all);
  }

  get meta(): SegmentMeta {
    return this.#meta;
  }

  get seal(): SealFacts {
    return this.#seal;
  }

  get first(): RaftIndex {
    return firstOf(this.meta);
  }

  get baseOffset(): Offset {
    return this.meta.before.nextOffset;
  }

  get nextOffset(): Offset {
    return this.seal.nextOffset;
  }

  get bytes(): number {
    return this.seal.storeBytes;
  }

  /** Without the records of named logs. */
  get defaultBytes(): number {
    return this.bytes - (this.meta.namedBytes ?? 0);
  }

  /** The end of the log after the segment. */
  get end(): ChainEnd {
    const { meta, seal } = this;
    return {
      index: meta.before.index + seal.entries,
      term: seal.lastTerm,
      nextOffset: seal.nextOffset,
      timestampMs: seal.lastTimestampMs,
      crc: seal.lastCrc,
    };
  }

  get lastTimestampMs(): number {
    return this.seal.lastTimestampMs;
  }

  /** Another segment has its place, or its files are being replaced. */
  get isGone(): boolean {
    return this.#isGone;
  }

  get path(): string {
    return this.#files.storePath(this.first);
  }

  lookup<T>(find: (index: OffsetIndex) => T): T {
    try {
      return find(this.#open());
    } catch (damage) {
      if (!(damage instanceof DamagedPage)) throw damage;
      return find(this.#rebuild());
    }
  }

  batchesOf(id: LogId): LogBatches | undefined {
    return this.#logs.batchesOf(id);
  }

  prepareLogs(stepsMax: number, id?: LogId): boolean {
    return this.#logs.prepare(stepsMax, id);
  }

  willReadLogs(share: number | undefined): void {
    this.#logs.willRead(share);
  }

  /** Its log index is missing. */
  get lacksLogs(): boolean {
    return this.#logs.lacksFile;
  }

  logIds(): Generator<LogId> {
    return this.#logs.ids();
  }

  /** A copy of the log index that can grow. */
  growingLogs(): ActiveLogIndex {
    const copy = new ActiveLogIndex();
    // Commands about named logs are not in the index: 0 stands for the logs that they name.
    if (this.meta.namesLogs !== false) copy.touch(0, true);
    const entries: [ordinal: number, id: LogId, offset: Offset, previous: RaftIndex][] = [];
    for (const id of this.logIds()) {
      const batches = this.batchesOf(id)!;
      for (let i = 0; i < batches.length; i++)
        entries.push([batches.ordinal(i), id, batches.offset(i), batches.previous]);
    }
    entries.sort(([one], [other]) => one - other);
    for (const [ordinal, id, offset, previous] of entries) copy.append(id, ordinal, offset, () => previous);
    return copy;
  }

  read(target: Uint8Array, position: number): number {
    const store = this.#store();
    if (!this.#storeChecked) {
      if (store.size() !== this.bytes) throw this.damaged(Math.min(store.size(), this.bytes), "length");
      this.#storeChecked = true;
    }
    return readStore(this, store, target, position);
  }

  /** The files were replaced by settled ones, which `meta` describes. */
  replaced(meta: SegmentMeta): void {
    assert(meta.seal !== undefined, "not sealed");
    this.#meta = meta;
    this.#seal = meta.seal;
    this.#index = undefined;
    this.#storeChecked = false;
    this.#logs.replaced();
    this.#files.drop(this.first);
  }

  /**
   * Another segment has its place, or its files are replaced or removed. A reader that still holds it finds no damage: it asks for
   * the segments again.
   */
  gone(): void {
    this.#isGone = true;
    this.#files.drop(this.first);
  }

  /**
   * Opens the store for a scan that takes several turns: the file stays the same if the segment is settled meanwhile. The caller
   * closes it. @throws Fault "corrupt" if it is missing or has another length, Fault "disk-busy"
   */
  openStore(): StoreToScan {
    let file: DiskFile;
    try {
      file = this.#files.disk.open(this.path, "read");
    } catch (reason) {
      throw unreadable(this, reason, 0);
    }
    const { bytes, meta, seal } = this;
    try {
      const size = file.size();
      if (size !== bytes) throw this.damaged(Math.min(size, bytes), "length");
    } catch (reason) {
      file.close();
      throw reason;
    }
    return {
      ...{ bytes, meta, seal },
      read: (target, position) => readStore(this, file, target, position),
      willRead: (position, length) => file.willRead?.(position, length),
      close: () => file.close(),
    };
  }

  willRead(position: number, bytes: number): void {
    this.#store().willRead?.(position, bytes);
  }

  describe(): SegmentDescription {
    return {
      baseOffset: this.baseOffset,
      nextOffset: this.nextOffset,
      bytes: this.bytes,
      indexEntries: this.seal.entries,
      sealed: true,
      firstTimestampMs: this.meta.baseTimestampMs,
      lastTimestampMs: this.seal.lastTimestampMs,
    };
  }

  damaged(position: number, why: string): Fault {
    if (this.#isGone)
      return new Fault("unavailable", {
        message: "the files of the segment were replaced meanwhile, read it again",
      });
    return this.#files.damage.report(this.first, { path: this.path, position, why });
  }

  /**
   * Checks every page of the index. A damaged index is rebuilt.
   * @throws Fault "corrupt" if the store is damaged too
   */
  checkIndex(): void {
    try {
      this.#open().checkAll();
    } catch (damage) {
      if (!(damage instanceof DamagedPage)) throw damage;
      this.#rebuild();
    }
  }

  #store(): DiskFile {
    try {
      return this.#files.stores.get(this.path);
    } catch (reason) {
      throw unreadable(this, reason, 0);
    }
  }

  /** @throws DamagedPage for an index that must be rebuilt, Fault "disk-busy" if it could not be opened now */
  #open(): SealedIndex {
    let file: ReturnType<SegmentFiles["indexes"]["get"]>;
    try {
      file = this.#files.indexes.get(this.#files.indexPath(this.first));
    } catch (reason) {
      if (troubleOf(reason) === "busy") throw unreadable(this, reason, 0);
      throw new DamagedPage(); // missing or unreadable
    }
    if (this.#index?.file === file) return this.#index.index;
    const seal = decodeFooter(file);
    if (seal === undefined || !describesStore(seal, this.seal)) throw new DamagedPage();
    const index = new SealedIndex(file, baseOf(this.meta), seal.entries);
    this.#index = { file, index };
    return index;
  }

  /**
   * Rebuilds the index from the store and writes its file. Returns the index also if the disk refuses the file; then the
   * next lookup rebuilds it once more.
   * @throws Fault "corrupt" if the store is damaged too
   */
  #rebuild(): OffsetIndex {
    const rebuilt = new ActiveIndex(baseOf(this.meta));
    const store = this.#store();
    const scan = scanStore(store, store.size(), this.meta.before, indexer(rebuilt));
    if (scan.position !== this.bytes || scan.end.crc !== this.seal.lastCrc) {
      throw this.damaged(scan.position, scan.flaw ?? "length");
    }
    const body = indexBody(this.#directoryId, this.meta.before.crc, rebuilt);
    const path = this.#files.indexPath(this.first);
    this.#files.drop(this.first);
    try {
      this.#files.replace(path, Buffer.concat([body, encodeFooter(body, this.seal)]));
      syncNames(this.#files.disk, this.#files.directory);
    } catch (reason) {
      if (errorCode(reason) === "") throw reason;
      return rebuilt;
    }
    this.#files.damage.rebuilt(path);
    return rebuilt;
  }
}
