/**
 * Verifies a whole data directory offline: every checksum, every link of the chain, every index entry, and whether catalog
 * and files agree. It changes nothing, and continues after a finding.
 */
import { isDeepStrictEqual } from "node:util";
import { Fault } from "../../fault.ts";
import { toHex } from "../../lib/bytes.ts";
import { type Disk, errorCode, NotRegularFile } from "../../lib/disk/disk.ts";
import { heapMapper } from "../../lib/disk/mapped-file.ts";
import type { StableStore } from "../../store/mod.ts";
import type { Bounds, RaftIndex } from "../../types.ts";
import { type ChainEnd, isContentFlaw, type Scan, scanStore } from "../frame/chain.ts";
import { frameLogId } from "../frame/frame.ts";
import { groupBytesMax } from "../frame/frame-group.ts";
import { decodeFooter, decodeIndexHeader, indexHeaderBytes } from "../index/index-file.ts";
import { ActiveLogIndex, SealedLogIndex, sameLogs } from "../index/log-index.ts";
import { ActiveIndex, entryBytes } from "../index/offset-index.ts";
import { enterFrame, enterNamed } from "../index/segment-index.ts";
import { rowsName } from "../rows/base-files.ts";
import { rowsAtStart } from "../rows/inline-rows.ts";
import { Catalog, noRowFiles } from "../segment/catalog.ts";
import { baseOf, firstOf, type SegmentMeta } from "../segment/segment.ts";
import { firstIndexOf, indexName, logsName, storeName } from "../segment/segment-files.ts";
import type { LogRow } from "../state/log-row.ts";
import { emptyCheckpoint, LogState } from "../state/log-state.ts";
import { emptyHead } from "../state/row-codec.ts";
import { unreadableKeys } from "./repair-plan.ts";

/** A part of the directory that is not as it was written. */
export interface Finding {
  readonly file: string;
  /** In the file, bytes. */
  readonly position: number;
  readonly kind: string;
}

/** A segment as it was found. `index` is built from its store. */
export interface ScannedSegment {
  readonly meta: SegmentMeta;
  readonly index: ActiveIndex;
  readonly scan: Scan;
  readonly storeBytes: number;
}

export interface VerifyReport extends Bounds {
  readonly records: number;
  /** Bytes of sound frames. */
  readonly bytes: number;
  readonly findings: readonly Finding[];
  /** A write group that a crash tore. It has no receipt, and opening cuts it. */
  readonly torn: Finding | undefined;
  readonly segments: readonly ScannedSegment[];
  /** The named logs. */
  readonly logs: readonly LogRow[];
}

/** A data directory that holds a log. */
export interface LogDirectory {
  readonly directory: string;
  readonly disk: Disk;
  readonly store: StableStore;
}

/**
 * Verifies a log. `see` gets each sound frame.
 * @throws Fault "not-found" if there is no log, Fault "unsupported-version"
 */
export function verifyLog(place: LogDirectory, see?: (bytes: Uint8Array, at: number) => void): VerifyReport {
  return new Verification(place, see).run();
}

class Verification {
  readonly #place: LogDirectory;
  readonly #logDirectory: string;
  readonly #see: ((bytes: Uint8Array, at: number) => void) | undefined;
  readonly #findings: Finding[] = [];
  readonly #segments: ScannedSegment[] = [];
  #torn: Finding | undefined;
  #bytes = 0;
  #state = LogState.from(emptyCheckpoint);
  /** False after damage: frames of named logs are not compared with their rows then. */
  #areRowsKnown = true;

  constructor(place: LogDirectory, see: ((bytes: Uint8Array, at: number) => void) | undefined) {
    this.#place = place;
    this.#logDirectory = `${place.directory}/log`;
    this.#see = see;
  }

  run(): VerifyReport {
    const { disk, store, directory } = this.#place;
    if (!isDirectory(disk, this.#logDirectory)) {
      throw new Fault("not-found", { message: `there is no log in ${directory}`, facts: { directory } });
    }
    const catalog = new Catalog(store);
    const metas = this.#guard("catalog", () => catalog.segments()) ?? [];
    const id = this.#guard("catalog", () => catalog.directoryId());
    const start = this.#guard("catalog", () => catalog.start());
    const commit = this.#guard("catalog", () => catalog.commit()) ?? 0;
    this.#checkStore(metas, id, catalog);
    this.#checkUnlisted(metas, this.#guard("catalog", () => catalog.pendingRemovals()) ?? [], id);
    const first = metas[0];
    const checkpoint =
      first === undefined
        ? start?.checkpoint
        : this.#guard("checkpoint", () => catalog.checkpoint(firstOf(first)));
    const place = { disk, directory: this.#logDirectory };
    const rows = this.#guardRows(catalog, () => rowsAtStart(catalog, place, first));
    this.#state = LogState.from(
      checkpoint ?? LogState.blank(first?.before.index ?? 0, first?.before.nextOffset ?? 0),
      rows,
    );
    this.#areRowsKnown = rows !== undefined;
    const end = this.#checkSegments(metas, id, catalog) ?? first?.before ?? start?.end;
    const state = this.#state;
    if (end !== undefined && end.index < commit) this.#find("meta", 0, "committed-index-is-missing");
    state.commitTo(end?.index ?? 0);
    const next = end?.nextOffset ?? 0;
    const lowest = Math.min(next, Math.max(state.lowest, first?.before.nextOffset ?? next));
    return {
      records: next - lowest,
      bytes: this.#bytes,
      lowest,
      next,
      findings: this.#findings,
      torn: this.#torn,
      segments: this.#segments,
      logs: [...state.logs.rows()],
    };
  }

  /** Checks that the stable store holds what the log needs, and that it is whole. */
  #checkStore(metas: readonly SegmentMeta[], id: Uint8Array | undefined, catalog: Catalog): void {
    const { store } = this.#place;
    if (id === undefined && metas.length > 0) this.#findOnce("meta", 0, "catalog");
    if (!store.whole) this.#find("meta", 0, "keys");
    for (const key of this.#guard("catalog", () => unreadableKeys(store)) ?? []) {
      if (!key.startsWith("log/")) this.#find("meta", 0, key);
    }
    for (const meta of metas) {
      const found = this.#guard("checkpoint", () => catalog.checkpoint(firstOf(meta)) ?? "none");
      if (found === "none") this.#find("meta", 0, "checkpoint");
    }
  }

  /** Checks all segments and their order. Returns the end of the last one that could be scanned. */
  #checkSegments(
    metas: readonly SegmentMeta[],
    id: Uint8Array | undefined,
    catalog: Catalog,
  ): ChainEnd | undefined {
    let end: ChainEnd | undefined;
    /** What the next segment must follow. Unknown after damage. */
    let expected = metas[0]?.before;
    for (const [ordinal, meta] of metas.entries()) {
      const last = ordinal === metas.length - 1;
      if (
        expected !== undefined &&
        (meta.before.crc !== expected.crc || meta.before.index !== expected.index)
      ) {
        this.#find(storeName(firstOf(meta)), 0, "chain");
      }
      const findings = this.#findings.length;
      if (expected === undefined) this.#areRowsKnown = false;
      this.#continueState(meta, catalog);
      const found = this.#checkSegment(meta, last, id, catalog);
      const damaged = this.#findings.slice(findings).some(({ file }) => file === storeName(firstOf(meta)));
      expected = damaged ? undefined : found;
      end = found ?? end;
    }
    return end;
  }

  /** Compares the table of named logs with the checkpoint at the start of a segment. After damage the rows are unknown. */
  #continueState(meta: SegmentMeta, catalog: Catalog): void {
    const checkpoint = this.#guard("checkpoint", () => catalog.checkpoint(firstOf(meta)));
    if (checkpoint === undefined) return;
    if (!this.#areRowsKnown) {
      this.#state = LogState.from(checkpoint);
      return;
    }
    this.#state.commitTo(meta.before.index);
    const { head } = this.#state.logs;
    if (!isDeepStrictEqual(head, checkpoint.logs ?? emptyHead)) this.#findOnce("meta", 0, "checkpoint");
  }

  /** Reads the base. Damage of it is a finding. */
  #guardRows<T>(catalog: Catalog, work: () => T): T | undefined {
    try {
      return work();
    } catch (reason) {
      if (!(reason instanceof Fault) || reason.kind !== "corrupt") throw reason;
      const { base } = this.#guard("catalog", () => catalog.rowFiles()) ?? noRowFiles;
      this.#find(rowsName(base), Number(reason.facts.position ?? 0), "rows");
      return undefined;
    }
  }

  /** Returns the end of the segment; undefined if it cannot be read. */
  #checkSegment(
    meta: SegmentMeta,
    last: boolean,
    id: Uint8Array | undefined,
    catalog: Catalog,
  ): ChainEnd | undefined {
    const { disk } = this.#place;
    const name = storeName(firstOf(meta));
    const path = `${this.#logDirectory}/${name}`;
    if (!disk.exists(path)) {
      this.#find(name, 0, "missing");
      return undefined;
    }
    const file = this.#orUnreadable(name, () => disk.open(path, "read"));
    if (file === undefined) return undefined;
    const index = new ActiveIndex(baseOf(meta));
    const logs = new ActiveLogIndex();
    const state = this.#state;
    try {
      const storeBytes = file.size();
      const scan = scanStore(file, storeBytes, meta.before, (bytes, at, position, before) => {
        const isUnknown = !this.#areRowsKnown && frameLogId(bytes, at) !== 0;
        const staged = isUnknown ? undefined : state.stage(bytes, at);
        const flaw = staged ?? enterFrame(index, bytes, at, position, before);
        if (flaw !== undefined) return flaw;
        enterNamed(logs, index.length - 1, bytes, at, (logId, index) => state.logs.lastBatch(logId, index));
        this.#see?.(bytes, at);
        return undefined;
      });
      this.#bytes += scan.position;
      this.#segments.push({ meta, index, scan, storeBytes });
      const receipts = this.#checkIndex(meta, index, id, scan, last);
      const isIndexKnown = scan.flaw === undefined && this.#areRowsKnown;
      if (isIndexKnown && id !== undefined) this.#checkLogIndex(meta, logs, id, catalog);
      this.#report(name, meta, index, scan, storeBytes, last ? receipts : undefined, catalog);
      return scan.end;
    } catch (reason) {
      if (reason instanceof Fault) throw reason;
      this.#find(name, 0, "unreadable");
      return undefined;
    } finally {
      file.close();
    }
  }

  /** Reports what the scan found. `receipts` is given for the last segment, which may be torn behind them. */
  #report(
    name: string,
    { seal }: SegmentMeta,
    index: ActiveIndex,
    scan: Scan,
    storeBytes: number,
    receipts: number | undefined,
    catalog: Catalog,
  ): void {
    if (scan.flaw !== undefined) {
      const mayBeTorn =
        receipts !== undefined && seal === undefined && index.length >= receipts && !isContentFlaw(scan.flaw);
      const finding = { file: name, position: scan.position, kind: scan.flaw };
      if (mayBeTorn && (storeBytes - scan.position <= groupBytesMax || catalog.unsynced()))
        this.#torn = finding;
      else this.#findings.push(finding);
    } else if (receipts === undefined && seal === undefined) {
      this.#find(name, 0, "not-sealed");
    } else if (seal !== undefined && (scan.position !== seal.storeBytes || scan.end.crc !== seal.lastCrc)) {
      this.#find(name, Math.min(scan.position, seal.storeBytes), "length");
    }
  }

  /** Compares an index file with the index built from the store. Returns its number of receipts. */
  #checkIndex(
    meta: SegmentMeta,
    index: ActiveIndex,
    id: Uint8Array | undefined,
    scan: Scan,
    last: boolean,
  ): number {
    const name = indexName(firstOf(meta));
    const path = `${this.#logDirectory}/${name}`;
    if (!this.#place.disk.exists(path)) {
      this.#find(name, 0, "missing");
      return 0;
    }
    const file = this.#orUnreadable(name, () => heapMapper(this.#place.disk)(path));
    if (file === undefined) return 0;
    const footer = decodeFooter(file);
    const receipts = footer?.entries ?? Math.max(0, Math.floor((file.bytes - indexHeaderBytes) / entryBytes));
    const body = file.copy(0, Math.min(file.bytes, indexHeaderBytes + entryBytes * receipts));
    const header = decodeIndexHeader(body);
    if (header === undefined || (id !== undefined && toHex(header.directoryId) !== toHex(id))) {
      this.#find(name, 0, "header");
    } else if (header.previousCrc !== meta.before.crc || header.base.index !== firstOf(meta)) {
      this.#find(name, 0, "header");
    }
    const both = Math.min(receipts, index.length);
    const expected = index.bytes(0, both);
    for (let at = 0; at < expected.length; at++) {
      if (expected[at] === body[indexHeaderBytes + at]) continue;
      this.#find(name, indexHeaderBytes + at, "entry");
      break;
    }
    if (!last && footer === undefined) this.#find(name, file.bytes, "footer");
    // After damage in the store the footer cannot be checked: the entries are unknown.
    const ends = footer === undefined || (footer.lastCrc === scan.end.crc && footer.entries === index.length);
    if (footer !== undefined && !ends && scan.flaw === undefined) {
      this.#find(name, indexHeaderBytes + entryBytes * footer.entries, "footer");
    }
    if (last && footer === undefined && scan.flaw === undefined && receipts > index.length) {
      this.#find(storeName(firstOf(meta)), scan.position, "short");
    }
    return receipts;
  }

  /** Checks the log index of a sealed segment that holds named logs. */
  #checkLogIndex(meta: SegmentMeta, expected: ActiveLogIndex, id: Uint8Array, catalog: Catalog): void {
    const { seal, namedBatches = 0 } = meta;
    if (seal === undefined || (namedBatches === 0 && expected.entries === 0)) return;
    const name = logsName(firstOf(meta));
    const path = `${this.#logDirectory}/${name}`;
    if (namedBatches === expected.entries && !this.#place.disk.exists(path)) {
      this.#find(name, 0, "missing");
      return;
    }
    const found = this.#orUnreadable(name, () => {
      const file = heapMapper(this.#place.disk)(path);
      return SealedLogIndex.open(file, id, firstOf(meta), expected.entries) ?? "wrong";
    });
    const [first = meta] = catalog.segments();
    const isRight = namedBatches === expected.entries && found !== undefined && found !== "wrong";
    if (!isRight || !sameLogs(found, expected, firstOf(first))) this.#findOnce(name, 0, "entry");
  }

  /** Finds stores that are not in the catalog. An empty one is what an interrupted roll leaves. */
  #checkUnlisted(
    metas: readonly SegmentMeta[],
    pending: readonly RaftIndex[],
    id: Uint8Array | undefined,
  ): void {
    const { disk } = this.#place;
    const known = new Set([...metas.map(firstOf), ...pending]);
    for (const name of disk.list(this.#logDirectory)) {
      const first = firstIndexOf(name, "store");
      if (first === undefined || known.has(first)) continue;
      const file = this.#orUnreadable(name, () => disk.open(`${this.#logDirectory}/${name}`, "read"));
      if (file === undefined) continue;
      if (file.size() > 0) this.#find(name, 0, id === undefined ? "no-catalog" : "not-in-the-catalog");
      file.close();
    }
  }

  /** Opens a file. One that is not a regular file is a finding. */
  #orUnreadable<T>(name: string, open: () => T): T | undefined {
    try {
      return open();
    } catch (reason) {
      if (!(reason instanceof NotRegularFile)) throw reason;
      this.#find(name, 0, "unreadable");
      return undefined;
    }
  }

  #find(file: string, position: number, kind: string): void {
    this.#findings.push({ file, position, kind });
  }

  #findOnce(file: string, position: number, kind: string): void {
    const known = this.#findings.some((finding) => finding.file === file && finding.kind === kind);
    if (!known) this.#find(file, position, kind);
  }

  /** Reads from the stable store. What it cannot read is a finding of this kind. */
  #guard<T>(kind: string, work: () => T): T | undefined {
    try {
      return work();
    } catch (reason) {
      if (reason instanceof Fault && reason.kind === "unsupported-version") throw reason;
      this.#find("meta", 0, kind);
      return undefined;
    }
  }
}

function isDirectory(disk: Disk, path: string): boolean {
  try {
    disk.list(path);
    return true;
  } catch (reason) {
    if (["ENOENT", "ENOTDIR"].includes(errorCode(reason))) return false;
    throw reason;
  }
}
