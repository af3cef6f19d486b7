/**
 * Looks through a whole data directory offline: every checksum, every link of the chain, every index entry, and
 * whether catalog and files agree. Reads only.
 *
 * Never: changes a byte, stops at the first finding.
 */
import { createHash } from "node:crypto";
import { Fault } from "../../fault.ts";
import { toHex } from "../../lib/bytes.ts";
import { type Disk, errorCode } from "../../lib/disk/disk.ts";
import { heapMapper } from "../../lib/disk/mapped-file.ts";
import type { StableStore } from "../../store/mod.ts";
import type { Bounds, Offset, RaftIndex } from "../../types.ts";
import { type ChainEnd, isContentFlaw, type Scan, scanStore } from "../frame/chain.ts";
import { batchKind, frameBytes, frameKind, frameRecordCount } from "../frame/frame.ts";
import { groupBytesMax } from "../frame/frame-group.ts";
import { RecordCursor } from "../frame/record.ts";
import { Catalog } from "../segment/catalog.ts";
import { decodeFooter, decodeIndexHeader, indexHeaderBytes } from "../segment/index-file.ts";
import { ActiveIndex, entryBytes } from "../segment/offset-index.ts";
import { baseOf, firstOf, indexer, type SegmentMeta } from "../segment/segment.ts";
import { firstIndexOf, indexName, storeName } from "../segment/segment-files.ts";
import { LogState } from "../state/log-state.ts";

/** Something that is not as it was written. */
export interface Finding {
  readonly file: string;
  /** In the file, bytes. */
  readonly position: number;
  readonly kind: string;
}

/** A segment as it was found. */
export interface ScannedSegment {
  readonly meta: SegmentMeta;
  readonly index: ActiveIndex;
  readonly scan: Scan;
  readonly storeBytes: number;
}

export interface VerifyReport extends Bounds {
  readonly records: number;
  /** Of sound frames. */
  readonly bytes: number;
  readonly findings: readonly Finding[];
  /** Behind the last receipt, as a crash leaves it: what opening will cut. */
  readonly torn: Finding | undefined;
  readonly segments: readonly ScannedSegment[];
}

/** Where a log lies. */
export interface LogDirectory {
  readonly directory: string;
  readonly disk: Disk;
  readonly store: StableStore;
}

/** Throws Fault "not-found" where there is no log, and "unsupported-version". */
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
  #records = 0;
  #bytes = 0;

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
    const metas = this.#guard("meta", "catalog", () => catalog.segments()) ?? [];
    const id = this.#guard("meta", "catalog", () => catalog.directoryId());
    const start = this.#guard("meta", "catalog", () => catalog.start());
    const commit = this.#guard("meta", "catalog", () => catalog.commit()) ?? 0;
    if (id === undefined && metas.length > 0) this.#findOnce("meta", 0, "catalog");
    if (!store.whole) this.#find("meta", 0, "keys");
    for (const key of this.#guard("meta", "catalog", () => unreadableKeys(store)) ?? []) {
      if (!key.startsWith("log/")) this.#find("meta", 0, key);
    }
    for (const meta of metas) {
      const found = this.#guard("meta", "checkpoint", () => catalog.checkpoint(firstOf(meta)) ?? "none");
      if (found === "none") this.#find("meta", 0, "checkpoint");
    }
    this.#strays(metas, this.#guard("meta", "catalog", () => catalog.doomed()) ?? [], id);
    const first = metas[0];
    const checkpoint =
      first === undefined
        ? start?.checkpoint
        : this.#guard("meta", "checkpoint", () => catalog.checkpoint(firstOf(first)));
    const state = LogState.from(
      checkpoint ?? LogState.blank(first?.before.index ?? 0, first?.before.nextOffset ?? 0),
    );
    let end: ChainEnd | undefined = first?.before ?? start?.end;
    /** What the next segment must follow; not known behind damage. */
    let join = end;
    for (const [ordinal, meta] of metas.entries()) {
      const last = ordinal === metas.length - 1;
      if (join !== undefined && (meta.before.crc !== join.crc || meta.before.index !== join.index)) {
        this.#find(storeName(firstOf(meta)), 0, "chain");
      }
      const findings = this.#findings.length;
      const found = this.#segment(meta, last, id, state, catalog);
      const damaged = this.#findings.slice(findings).some(({ file }) => file === storeName(firstOf(meta)));
      join = damaged ? undefined : found;
      end = found ?? end;
    }
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
    };
  }

  #segment(
    meta: SegmentMeta,
    last: boolean,
    id: Uint8Array | undefined,
    state: LogState,
    catalog: Catalog,
  ): ChainEnd | undefined {
    const { disk } = this.#place;
    const name = storeName(firstOf(meta));
    const path = `${this.#logDirectory}/${name}`;
    if (!disk.exists(path)) {
      this.#find(name, 0, "missing");
      return undefined;
    }
    const file = disk.open(path, "read");
    const index = new ActiveIndex(baseOf(meta));
    const enter = indexer(index);
    try {
      const storeBytes = file.size();
      const scan = scanStore(file, storeBytes, meta.before, (bytes, at, position) => {
        const flaw = enter(bytes, at, position);
        if (flaw !== undefined) return flaw;
        state.stage(bytes, at);
        if (frameKind(bytes, at) === batchKind.data) this.#records += frameRecordCount(bytes, at);
        this.#see?.(bytes, at);
        return undefined;
      });
      this.#bytes += scan.position;
      this.#segments.push({ meta, index, scan, storeBytes });
      const receipts = this.#index(meta, index, id, scan, last);
      this.#judge(name, meta, index, scan, storeBytes, last ? receipts : undefined, catalog);
      return scan.end;
    } catch (reason) {
      if (reason instanceof Fault) throw reason;
      this.#find(name, 0, "unreadable");
      return undefined;
    } finally {
      file.close();
    }
  }

  /** `receipts` for the last segment, which may be torn behind them. */
  #judge(
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

  /** Compares an index file with what the store says. Answers its number of receipts. */
  #index(
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
    const file = heapMapper(this.#place.disk)(path);
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
    // Behind damage in the store nothing is known that a footer could be held against.
    const ends = footer === undefined || (footer.lastCrc === scan.end.crc && footer.entries === index.length);
    if (footer !== undefined && !ends && scan.flaw === undefined) {
      this.#find(name, indexHeaderBytes + entryBytes * footer.entries, "footer");
    }
    if (last && footer === undefined && scan.flaw === undefined && receipts > index.length) {
      this.#find(storeName(firstOf(meta)), scan.position, "short");
    }
    return receipts;
  }

  #strays(metas: readonly SegmentMeta[], doomed: readonly RaftIndex[], id: Uint8Array | undefined): void {
    const { disk } = this.#place;
    const known = new Set([...metas.map(firstOf), ...doomed]);
    for (const name of disk.list(this.#logDirectory)) {
      const first = firstIndexOf(name, "store");
      if (first === undefined || known.has(first)) continue;
      const file = disk.open(`${this.#logDirectory}/${name}`, "read");
      if (file.size() > 0) this.#find(name, 0, id === undefined ? "no-catalog" : "not-in-the-catalog");
      file.close();
    }
  }

  #find(file: string, position: number, kind: string): void {
    this.#findings.push({ file, position, kind });
  }

  #findOnce(file: string, position: number, kind: string): void {
    const known = this.#findings.some((finding) => finding.file === file && finding.kind === kind);
    if (!known) this.#find(file, position, kind);
  }

  /** What the stable store cannot give is a finding, too. */
  #guard<T>(file: string, kind: string, work: () => T): T | undefined {
    try {
      return work();
    } catch (reason) {
      if (reason instanceof Fault && reason.kind === "unsupported-version") throw reason;
      this.#find(file, 0, kind);
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

/** The keys, of whatever room, whose values the stable store finds damaged. */
export function unreadableKeys(store: StableStore): string[] {
  return store.keys("").filter((key) => {
    try {
      store.get(key);
      return false;
    } catch (reason) {
      if (reason instanceof Fault && reason.kind === "corrupt") return true;
      throw reason;
    }
  });
}

/**
 * The SHA-256 of the records `from … to−1` with their offsets, terms and times: equal on nodes that hold the same
 * log, wherever their files begin. The directory must have been verified.
 */
function hashRecords(place: LogDirectory, from: Offset, to: Offset): string {
  const hash = createHash("sha256");
  verifyLog(place, (bytes, at) => {
    if (frameKind(bytes, at) !== batchKind.data) return;
    const cursor = new RecordCursor(bytes.subarray(at, at + frameBytes(bytes, at)), from);
    while (cursor.next() && cursor.offset < to) {
      hash.update(`${cursor.offset} ${cursor.term} ${cursor.timestampMs} ${cursor.end - cursor.start} `);
      hash.update(cursor.frames.subarray(cursor.start, cursor.end));
    }
  });
  return hash.digest("hex");
}

export interface Comparison {
  /** The records that all of them hold: from … to−1. */
  readonly from: Offset;
  readonly to: Offset;
  /** One a place. */
  readonly hashes: readonly string[];
  readonly findings: readonly (Finding & { readonly directory: string })[];
}

/**
 * Holds logs against each other over the records that all of them have. Throws Fault "failed-precondition" where sound
 * logs have no record in common: nothing was compared, so nothing can be said. (Logs that are all empty, and go on at
 * the same offset, are alike.)
 */
export function compareLogs(places: readonly LogDirectory[]): Comparison {
  const reports = places.map((place) => ({ place, report: verifyLog(place) }));
  const findings = reports.flatMap(({ place, report }) =>
    report.findings.map((finding) => ({ ...finding, directory: place.directory })),
  );
  const from = Math.max(...reports.map(({ report }) => report.lowest));
  const to = Math.max(from, Math.min(...reports.map(({ report }) => report.next)));
  const alike = reports.every(({ report }) => report.lowest === from && report.next === to);
  if (from === to && !alike && findings.length === 0) {
    const extents = reports.map(({ place, report }) => `${place.directory} ${extentOf(report)}`);
    throw new Fault("failed-precondition", {
      message: `nothing was compared, the logs have no record in common: ${extents.join(", ")}`,
    });
  }
  const hashes = findings.length > 0 ? [] : places.map((place) => hashRecords(place, from, to));
  return { from, to, hashes, findings };
}

const extentOf = ({ lowest, next }: Bounds): string =>
  lowest === next ? `is empty and goes on at ${next}` : `holds ${lowest} to ${next - 1}`;
