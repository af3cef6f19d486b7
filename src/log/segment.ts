/**
 * A segment: one store file and its index. Sealed ones are read only and open nothing until they are read; the last
 * one is active and is written at its end.
 *
 * Invariant: the index file of the active segment holds entries of synced frames only, so each is a receipt.
 *
 * Never: decides when to roll, trusts an index page it has not checked.
 */
import type { Fault } from "../fault.ts";
import { assert } from "../lib/assert.ts";
import type { DiskFile } from "../lib/disk.ts";
import type { Offset, RaftIndex, SegmentDescription } from "../vocabulary.ts";
import { type ChainEnd, scanStore } from "./chain.ts";
import { frameBaseOffset, frameTerm, frameTimestampMs } from "./frame.ts";
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
      this.#rebuild();
      return find(this.#open());
    }
  }

  read(target: Uint8Array, position: number): number {
    const store = this.#store();
    if (!this.#storeChecked) {
      if (store.size() !== this.bytes) throw this.damaged(Math.min(store.size(), this.bytes), "length");
      this.#storeChecked = true;
    }
    return store.read(target, position);
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

  /** A store that somebody has taken away under a running node is damage like any other. */
  #store(): DiskFile {
    try {
      return this.#files.stores.get(this.path);
    } catch (reason) {
      if ((reason as NodeJS.ErrnoException).code === "ENOENT") throw this.damaged(0, "missing");
      throw reason;
    }
  }

  #open(): SealedIndex {
    let file: ReturnType<SegmentFiles["indexes"]["get"]>;
    try {
      file = this.#files.indexes.get(this.#files.indexPath(this.first));
    } catch {
      throw new DamagedPage(); // missing or unreadable: what cannot be opened is built anew
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

  /** The store is the truth: reads it whole and writes the index anew. */
  #rebuild(): void {
    const rebuilt = new ActiveIndex(baseOf(this.meta));
    const store = this.#store();
    const scan = scanStore(store, store.size(), this.meta.before, indexer(rebuilt));
    if (scan.position !== this.bytes || scan.end.crc !== this.seal.lastCrc) {
      throw this.damaged(scan.position, scan.flaw ?? "length");
    }
    const body = indexBody(this.#directoryId, this.meta.before.crc, rebuilt);
    this.#files.drop(this.first);
    this.#files.replace(
      this.#files.indexPath(this.first),
      Buffer.concat([body, encodeFooter(body, this.seal)]),
    );
    this.#files.disk.syncDirectory(this.#files.directory);
    this.#files.damage.rebuilt(this.#files.indexPath(this.first));
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

  constructor(
    meta: SegmentMeta,
    index: ActiveIndex,
    files: SegmentFiles,
    at: { readonly bytes: number; readonly end: ChainEnd; readonly receipts: number },
  ) {
    this.meta = meta;
    this.index = index;
    this.path = files.storePath(firstOf(meta));
    this.#files = files;
    this.#store = files.disk.open(this.path, "write");
    this.#indexFile = files.disk.open(files.indexPath(firstOf(meta)), "write");
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
    return this.#store.read(target, position);
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
    this.#store.sync();
  }

  syncAsync(): Promise<void> {
    return this.#store.syncAsync();
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
    this.#indexFile.sync();
  }

  /** Whatever a failed write may have left behind the end is cut off. */
  cutBack(): void {
    this.#store.truncate(this.bytes);
    this.#store.sync();
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
    this.#indexFile.sync();
    this.#store.truncate(bytes);
    this.#store.sync();
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
    this.#indexFile.sync();
    return seal;
  }

  /** Takes back a seal() after which the segment is still the active one: the footer must not pass for receipts. */
  unseal(): void {
    this.#indexFile.truncate(indexHeaderBytes + entryBytes * this.#receipts);
    this.#indexFile.sync();
  }

  close(): void {
    this.#store.close();
    this.#indexFile.close();
  }
}
