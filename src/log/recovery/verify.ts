/**
 * Verifies a whole data directory offline: every checksum, every link of the chain, every index entry, the rows of named logs and
 * their database, and whether catalog and files agree. It changes nothing, and continues after a finding.
 */
import { isDeepStrictEqual } from "node:util";
import { Fault } from "../../fault.ts";
import { type Disk, isDirectory } from "../../lib/disk/disk.ts";
import type { RowStore } from "../../rows/mod.ts";
import type { StableStore } from "../../store/mod.ts";
import type { Bounds, LogId, RaftIndex } from "../../types.ts";
import {
  type ChainEnd,
  chainStart,
  isContentFlaw,
  linkOfFrame,
  type Scan,
  scanStore,
} from "../frame/chain.ts";
import { frameLogId } from "../frame/frame.ts";
import { groupBytesMax } from "../frame/frame-group.ts";
import { isZeroTail } from "../frame/zero-tail.ts";
import { ActiveLogIndex } from "../index/log-index.ts";
import { ActiveIndex } from "../index/offset-index.ts";
import { enterFrame, enterNamed } from "../index/segment-index.ts";
import { readProducers } from "../producers/producers-file.ts";
import { unreadableKeys } from "../repair/repair-plan.ts";
import { rowsName } from "../rows/base-files.ts";
import { type CreateDatabase, HeldRows } from "../rows/held-rows.ts";
import { rowsAtStart } from "../rows/inline-rows.ts";
import { Catalog, noRowFiles } from "../segment/catalog.ts";
import { baseOf, firstOf, type SegmentMeta } from "../segment/segment.ts";
import { firstIndexOf, storeName } from "../segment/segment-files.ts";
import { SettledCheck } from "../settle/check-settled.ts";
import { currentPath } from "../settle/finish-settling.ts";
import type { LogRow } from "../state/log-row.ts";
import { emptyCheckpoint, LogState } from "../state/log-state.ts";
import { emptyHead } from "../state/row-codec.ts";
import { checkIndex, checkLogIndex, type Find, orUnreadable } from "./check-index.ts";
import { hasProducers, lacksCheckpoint, producersBefore } from "./check-producers.ts";
import { RowsCheck, type RowsReport } from "./check-rows.ts";

/** A part of the directory that is not as it was written. */
export interface Finding {
  readonly file: string;
  /** In the file, bytes. */
  readonly position: number;
  readonly kind: string;
}

/** The named logs of a log that was read, by id. */
export interface FoundLogs extends Iterable<LogRow> {
  row(id: LogId): LogRow | undefined;
}

export interface VerifyReport extends Bounds {
  readonly records: number;
  /** Named logs at the end; undefined after damage. */
  readonly namedLogs: number | undefined;
  /** Bytes of sound frames. */
  readonly bytes: number;
  readonly findings: readonly Finding[];
  /** A write group that a crash tore. It has no receipt, and opening cuts it. */
  readonly torn: Finding | undefined;
  readonly logs: FoundLogs;
  /** How the database of named logs differs from the frames; undefined if it was not compared. */
  readonly rows: RowsReport | undefined;
  /** Removes what did not fit into memory. `logs` cannot be read any more. */
  [Symbol.dispose](): void;
}

/** A data directory that holds a log. */
export interface LogDirectory {
  readonly directory: string;
  readonly disk: Disk;
  readonly store: StableStore;
  /** The databases of rows. Without it they are not compared. */
  readonly rowStore?: RowStore;
  /** Opens an empty place for rows that do not fit into memory. Without it all rows are in memory. */
  readonly scratch?: () => ScratchRows;
}

/** A place for rows that is thrown away. */
export interface ScratchRows {
  readonly create: CreateDatabase;
  /** Rows that stay in memory. Default 65,536, about 32 MiB. */
  readonly rowsMax?: number;
  remove(): void;
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
  readonly #find: Find = (file, position, kind) => void this.#findings.push({ file, position, kind });
  readonly #scratch: ScratchRows | undefined;
  readonly #held: HeldRows;
  #rowsCheck: RowsCheck | undefined;
  #torn: Finding | undefined;
  #bytes = 0;
  #state = LogState.from(emptyCheckpoint);
  readonly #settled = new SettledCheck();
  /** False after damage: frames of named logs are not compared with their rows then. */
  #areRowsKnown = true;

  constructor(place: LogDirectory, see: ((bytes: Uint8Array, at: number) => void) | undefined) {
    this.#place = place;
    this.#logDirectory = `${place.directory}/log`;
    this.#see = see;
    this.#scratch = place.scratch?.();
    this.#held = heldIn(this.#scratch);
  }

  run(): VerifyReport {
    try {
      return this.#run();
    } catch (reason) {
      this.#scratch?.remove();
      throw reason;
    }
  }

  #run(): VerifyReport {
    const { disk, store, directory } = this.#place;
    if (!isDirectory(disk, this.#logDirectory)) {
      throw new Fault("not-found", { message: `there is no log in ${directory}`, facts: { directory } });
    }
    const catalog = new Catalog(store, (file) => readProducers(disk, this.#logDirectory, file));
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
    const rows = this.#guardRows(catalog, () => rowsAtStart(catalog, place, first, this.#held));
    this.#state = LogState.from(
      checkpoint ?? LogState.blank(first?.before.index ?? 0, first?.before.nextOffset ?? 0),
      rows,
    );
    this.#areRowsKnown = rows !== undefined;
    this.#rowsCheck = this.#openRows(id, catalog);
    const end = this.#checkSegments(metas, id, catalog) ?? first?.before ?? start?.end;
    const state = this.#state;
    state.commitTo(end?.index ?? 0);
    if (end !== undefined) this.#compareRows(end);
    this.#rowsCheck?.end((first?.before ?? start?.end ?? chainStart).index, this.#areRowsKnown);
    if (end !== undefined) {
      const cut = this.#guard("catalog", () => catalog.cut());
      this.#settled.report(state, this.#areRowsKnown, Math.min(end.index, cut ?? end.index), this.#find);
    }
    if (end !== undefined && end.index < commit) this.#find("meta", 0, "committed-index-is-missing");
    const next = end?.nextOffset ?? 0;
    const lowest = Math.min(next, Math.max(state.lowest, first?.before.nextOffset ?? next));
    return {
      records: next - lowest,
      namedLogs: this.#areRowsKnown ? state.logs.size : undefined,
      bytes: this.#bytes,
      lowest,
      next,
      findings: this.#findings,
      torn: this.#torn,
      logs: this.#logs(end),
      rows: this.#rowsCheck?.report,
      [Symbol.dispose]: () => this.#scratch?.remove(),
    };
  }

  #logs(end: ChainEnd = chainStart): FoundLogs {
    const { logs } = this.#state;
    if (this.#areRowsKnown) this.#held.settle({ ...end, head: logs.head });
    return { row: (id) => logs.row(id), [Symbol.iterator]: () => logs.rows()[Symbol.iterator]() };
  }

  #openRows(id: Uint8Array | undefined, catalog: Catalog): RowsCheck | undefined {
    const { rowStore } = this.#place;
    const { generation } = this.#guard("catalog", () => catalog.rowFiles()) ?? noRowFiles;
    if (rowStore === undefined || id === undefined || generation === 0 || !this.#areRowsKnown)
      return undefined;
    return RowsCheck.open(rowStore, id, generation, this.#find);
  }

  /** All frames up to `end` are folded. */
  #compareRows(end: ChainEnd): void {
    if (this.#areRowsKnown) this.#rowsCheck?.reached(end, this.#state.logs);
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
      const isMissing = (): boolean => lacksCheckpoint(catalog, firstOf(meta), meta === metas[0]);
      if (this.#guard("checkpoint", isMissing) === true) this.#find("meta", 0, "checkpoint");
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
    const first = firstOf(meta);
    const head = this.#guard("checkpoint", () => catalog.checkpointHead(first));
    if (head === undefined) return;
    // The producers of a checkpoint may not be written yet.
    const producers = this.#guard("checkpoint", () => producersBefore(catalog, first, this.#find));
    if (!this.#areRowsKnown) {
      this.#state = LogState.from({ ...head, producers: producers ?? [] });
      return;
    }
    const state = this.#state;
    state.commitTo(meta.before.index);
    const areLogsRight = isDeepStrictEqual(state.logs.head, head.logs ?? emptyHead);
    const areProducersRight = producers === undefined || hasProducers(state, producers);
    if (!areLogsRight || state.lowest !== head.lowest || !areProducersRight)
      this.#findOnce("meta", 0, "checkpoint");
    this.#compareRows(meta.before);
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
    const settling = this.#guard("catalog", () => catalog.settling());
    const path = currentPath(disk, settling, meta, `${this.#logDirectory}/${name}`);
    if (!disk.exists(path)) {
      this.#find(name, 0, "missing");
      return undefined;
    }
    const file = orUnreadable({ find: this.#find }, name, () => disk.open(path, "read"));
    if (file === undefined) return undefined;
    const index = new ActiveIndex(baseOf(meta));
    const logs = new ActiveLogIndex();
    const state = this.#state;
    const place = { disk, logDirectory: this.#logDirectory, directoryId: id, settling, find: this.#find };
    try {
      const storeBytes = file.size();
      const scan = scanStore(file, storeBytes, meta.before, (bytes, at, position, before) => {
        const isUnknown = !this.#areRowsKnown && frameLogId(bytes, at) !== 0;
        const staged = isUnknown ? undefined : state.stage(bytes, at);
        const flaw = staged ?? enterFrame(index, bytes, at, position, before);
        if (flaw !== undefined) return flaw;
        enterNamed(logs, index.length - 1, bytes, at, (logId, index) => state.logs.lastBatch(logId, index));
        this.#settled.see(bytes, at, name, position);
        this.#see?.(bytes, at);
        if (index.length % commitEvery === 0) this.#commitTo(linkOfFrame(bytes, at));
        return undefined;
      });
      this.#bytes += scan.position;
      this.#commitTo(scan.end);
      const receipts = checkIndex(place, { meta, index, scan, isLast: last });
      const isIndexKnown = scan.flaw === undefined && this.#areRowsKnown;
      if (isIndexKnown) checkLogIndex(place, meta, { logs, index }, firstOf(catalog.segments()[0] ?? meta));
      const isTorn = last && meta.seal === undefined && index.length >= receipts;
      const hasZeros = isTorn && isZeroTail(file, scan.position, storeBytes);
      const found = hasZeros ? { ...scan, flaw: undefined } : scan;
      this.#report(name, meta, index, found, storeBytes, last ? receipts : undefined, catalog);
      return scan.end;
    } catch (reason) {
      if (reason instanceof Fault) throw reason;
      this.#find(name, 0, "unreadable");
      return undefined;
    } finally {
      file.close();
    }
  }

  /** Folds the frames up to `end`. */
  #commitTo({ index, crc }: Pick<ChainEnd, "index" | "crc">): void {
    this.#state.commitTo(index);
    if (this.#areRowsKnown) this.#held.keep({ index, crc, head: this.#state.logs.head });
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
      const file = orUnreadable({ find: this.#find }, name, () =>
        disk.open(`${this.#logDirectory}/${name}`, "read"),
      );
      if (file === undefined) continue;
      if (file.size() > 0) this.#find(name, 0, id === undefined ? "no-catalog" : "not-in-the-catalog");
      file.close();
    }
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

/** Frames that are staged before they are folded. */
export const commitEvery = 4096;

/** Rows that may go to a place that is thrown away. */
export const heldIn = (scratch: ScratchRows | undefined): HeldRows =>
  new HeldRows(scratch?.create, scratch?.rowsMax);
