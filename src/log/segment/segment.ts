/**
 * A segment: one store file and its index. Sealed ones are read only and open nothing until they are read; the last
 * one is active and is written at its end.
 *
 * Invariant: the index file of the active segment holds entries of synced frames only, so each is a receipt.
 *
 * Never: decides when to roll, trusts an index page it has not checked.
 */
import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import {
  type DiskFile,
  errorCode,
  syncFile,
  syncFileAside,
  syncNames,
  troubleOf,
} from "../../lib/disk/disk.ts";
import type { Offset, RaftIndex, SegmentDescription } from "../../types.ts";
import { type ChainEnd, scanStore } from "../frame/chain.ts";
import { frameBaseOffset, frameTerm, frameTimestampMs } from "../frame/frame.ts";
import { diskFault } from "./disk-fault.ts";
import {
  DamagedPage,
  decodeFooter,
  encodeFooter,
  encodeIndexHeader,
  indexHeaderBytes,
  indexVersion,
  SealedIndex,
  type SealFacts,
} from "./index-file.ts";
import {
  ActiveIndex,
  entryBytes,
  fitsEntry,
  type IndexBase,
  lastAtOrBefore,
  type OffsetIndex,
} from "./offset-index.ts";
import type { SegmentFiles } from "./segment-files.ts";

/** What the stable store holds of a segment. */
export interface SegmentMeta {
  /** The end of the log before it: its first frame follows this. */
  readonly before: ChainEnd;
  /** Timestamp of its first batch. */
  readonly baseTimestampMs: number;
  /** Once it is sealed. */
  readonly seal: SealFacts | undefined;
}

export const firstOf = (meta: SegmentMeta): RaftIndex => meta.before.index + 1;
export const baseOf = (meta: SegmentMeta): IndexBase => ({
  index: firstOf(meta),
  offset: meta.before.nextOffset,
  timestampMs: meta.baseTimestampMs,
});

/** What readers of a segment need, sealed or active. */
export interface Segment {
  readonly first: RaftIndex;
  readonly baseOffset: Offset;
  readonly bytes: number;
  readonly nextOffset: Offset;
  readonly path: string;
  /** Runs a lookup in the index; a damaged one is built anew first. Throws Fault "corrupt" when that fails. */
  lookup<T>(find: (index: OffsetIndex) => T): T;
  read(target: Uint8Array, position: number): number;
  /** As people want to see it. */
  describe(): SegmentDescription;
  /** Takes note of damage in the store, and answers Fault "corrupt" for whoever wanted to read there. */
  damaged(position: number, why: string): Fault;
}

/** What a reader is told when the disk does not read. Bytes that cannot be read are damage, like those that are wrong. */
function unreadable(segment: Segment, reason: unknown, position: number): unknown {
  const code = errorCode(reason);
  if (reason instanceof Fault || code === "") return reason;
  if (code === "ENOENT") return segment.damaged(0, "missing");
  if (troubleOf(reason) === "busy") return diskFault(reason);
  return segment.damaged(position, "unreadable");
}

function readStore(segment: Segment, store: DiskFile, target: Uint8Array, position: number): number {
  try {
    return store.read(target, position);
  } catch (reason) {
    throw unreadable(segment, reason, position);
  }
}

/** A header and the entries of `index`, as bytes of a file. */
export function indexBody(directoryId: Uint8Array, previousCrc: number, index: ActiveIndex): Uint8Array {
  const { base } = index;
  const header = encodeIndexHeader({ version: indexVersion, directoryId, base, previousCrc });
  return Buffer.concat([header, index.bytes(0, index.length)]);
}

export class SealedSegment implements Segment {
  readonly meta: SegmentMeta;
  readonly seal: SealFacts;
  readonly #files: SegmentFiles;
  readonly #directoryId: Uint8Array;
  #index: { readonly file: object; readonly index: SealedIndex } | undefined;
  #storeChecked = false;

  constructor(meta: SegmentMeta, files: SegmentFiles, directoryId: Uint8Array) {
    assert(meta.seal !== undefined, "not sealed");
    this.meta = meta;
    this.seal = meta.seal;
    this.#files = files;
    this.#directoryId = directoryId;
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

  get lastTimestampMs(): number {
    return this.seal.lastTimestampMs;
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

  read(target: Uint8Array, position: number): number {
    const store = this.#store();
    if (!this.#storeChecked) {
      if (store.size() !== this.bytes) throw this.damaged(Math.min(store.size(), this.bytes), "length");
      this.#storeChecked = true;
    }
    return readStore(this, store, target, position);
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
    return this.#files.damage.note(this.first, { path: this.path, position, why });
  }

  /** Checks every page of the index, which is built anew when one is damaged. Throws Fault "corrupt". */
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

  /** Throws DamagedPage for an index that is to be built again, and Fault "disk-busy" where only opening it failed. */
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
    if (seal === undefined || seal.entries !== this.seal.entries || seal.lastCrc !== this.seal.lastCrc) {
      throw new DamagedPage();
    }
    const index = new SealedIndex(file, baseOf(this.meta), seal.entries);
    this.#index = { file, index };
    return index;
  }

  /**
   * Reads the whole store and writes the index again. Returns the index, which can be used also where the disk takes no
   * file: then the next lookup builds it once more.
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
      if (troubleOf(reason) === "lost") throw reason;
      return rebuilt;
    }
    this.#files.damage.rebuilt(path);
    return rebuilt;
  }
}

/** A visitor for scanStore that enters each frame into an index; returns "entry" for one that does not fit. */
export function indexer(
  index: ActiveIndex,
): (bytes: Uint8Array, at: number, position: number) => "entry" | undefined {
  return (bytes, at, position) => {
    const offset = frameBaseOffset(bytes, at);
    const timestampMs = frameTimestampMs(bytes, at);
    if (!fitsEntry(index.base, offset, position, timestampMs)) return "entry";
    index.append(offset, position, frameTerm(bytes, at), timestampMs);
    return undefined;
  };
}

/** What an active segment holds when it is opened. */
export interface ActiveExtent {
  readonly bytes: number;
  readonly end: ChainEnd;
  /** Entries that stand in the index file. */
  readonly receipts: number;
}

export class ActiveSegment implements Segment {
  readonly meta: SegmentMeta;
  readonly index: ActiveIndex;
  readonly path: string;
  readonly #files: SegmentFiles;
  readonly #store: DiskFile;
  readonly #indexFile: DiskFile;
  /** Bytes written to the store. */
  bytes: number;
  /** The end of what was written. */
  end: ChainEnd;
  /** Entries that stand in the index file. */
  #receipts: number;

  /** Opens both files. Throws what the disk throws, and then neither is left open. */
  static open(meta: SegmentMeta, index: ActiveIndex, files: SegmentFiles, at: ActiveExtent): ActiveSegment {
    const store = files.disk.open(files.storePath(firstOf(meta)), "write");
    try {
      const indexFile = files.disk.open(files.indexPath(firstOf(meta)), "write");
      return new ActiveSegment(meta, index, files, at, { store, index: indexFile });
    } catch (reason) {
      store.close();
      throw reason;
    }
  }

  /** Takes over the two files, which are open for writing. */
  constructor(
    meta: SegmentMeta,
    index: ActiveIndex,
    files: SegmentFiles,
    at: ActiveExtent,
    opened: { readonly store: DiskFile; readonly index: DiskFile },
  ) {
    this.meta = meta;
    this.index = index;
    this.path = files.storePath(firstOf(meta));
    this.#files = files;
    this.#store = opened.store;
    this.#indexFile = opened.index;
    this.bytes = at.bytes;
    this.end = at.end;
    this.#receipts = at.receipts;
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

  /** Of the last batch with records: commands do not make them younger. */
  get lastTimestampMs(): number {
    const k = lastAtOrBefore(this.index, this.nextOffset - 1);
    return k < 0 ? this.meta.baseTimestampMs : this.index.timestampMs(k);
  }

  lookup<T>(find: (index: OffsetIndex) => T): T {
    return find(this.index);
  }

  read(target: Uint8Array, position: number): number {
    return readStore(this, this.#store, target, position);
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
    return this.#files.damage.note(this.first, { path: this.path, position, why });
  }

  /** Writes frames at the end. They are entered by enter() once that is done. */
  write(frames: Uint8Array): void {
    this.#store.write(frames, this.bytes);
  }

  writeAsync(frames: Uint8Array): Promise<void> {
    return this.#store.writeAsync(frames, this.bytes);
  }

  /** Takes note of one written frame. */
  enter(bytes: Uint8Array, at: number, length: number, end: ChainEnd): void {
    const flaw = indexer(this.index)(bytes, at, this.bytes);
    assert(flaw === undefined, "a frame was written to a segment that cannot describe it");
    this.bytes += length;
    this.end = end;
  }

  sync(): void {
    syncFile(this.#store);
  }

  syncAsync(): Promise<void> {
    return syncFileAside(this.#store);
  }

  /** Writes the entries of all frames so far, which must have been synced, to the index file. */
  writeReceipts(): void {
    const { length } = this.index;
    if (this.#receipts === length) return;
    const at = indexHeaderBytes + entryBytes * this.#receipts;
    this.#indexFile.write(this.index.bytes(this.#receipts, length), at);
    this.#receipts = length;
  }

  /** After recovery: the index file holds the receipts that stay and those of what was written again, and no more. */
  settleReceipts(): void {
    this.#indexFile.truncate(indexHeaderBytes + entryBytes * this.#receipts);
    this.writeReceipts();
    this.syncIndex();
  }

  syncIndex(): void {
    syncFile(this.#indexFile);
  }

  /** Whatever a failed write may have left behind the end is cut off. */
  cutBack(): void {
    this.#store.truncate(this.bytes);
    syncFile(this.#store);
  }

  /**
   * Cuts off everything from entry `k` on, durably; `end` is the end of what stays. The receipts go first, so that
   * none outlives its frame.
   */
  truncate(k: number, end: ChainEnd): void {
    const bytes = this.index.position(k);
    this.index.truncate(k);
    this.#receipts = Math.min(this.#receipts, k);
    this.#indexFile.truncate(indexHeaderBytes + entryBytes * this.#receipts);
    syncFile(this.#indexFile);
    this.#store.truncate(bytes);
    syncFile(this.#store);
    this.bytes = bytes;
    this.end = end;
  }

  /** Makes store and index complete and durable. Answers the facts of the whole. */
  seal(): SealFacts {
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
    const body = new Uint8Array(indexHeaderBytes + entryBytes * this.index.length);
    this.#indexFile.read(body.subarray(0, indexHeaderBytes), 0);
    body.set(this.index.bytes(0, this.index.length), indexHeaderBytes);
    const footer = encodeFooter(body, seal);
    this.#indexFile.write(footer, body.length);
    this.#indexFile.truncate(body.length + footer.length);
    syncFile(this.#indexFile);
    return seal;
  }

  /** Takes back a seal() after which the segment is still the active one: the footer must not pass for receipts. */
  unseal(): void {
    this.#indexFile.truncate(indexHeaderBytes + entryBytes * this.#receipts);
    syncFile(this.#indexFile);
  }

  close(): void {
    this.#store.close();
    this.#indexFile.close();
  }
}
