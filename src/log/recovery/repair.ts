/**
 * What can be done about findings, and doing it. A store is cut at its first damaged byte; what lay behind is kept
 * beside as `*.cut`, later segments are set aside whole, since nothing connects them any more. Index files are the
 * stores' shadow and are built anew. A lost catalog is built from the segments.
 *
 * What was cut off, or what was voted, may have been promised to others. So a directory that belongs to a cluster of
 * several, or that cannot tell any more, comes out of it as another one: what it has is kept, whom it was is not.
 *
 * Never: throws bytes of a store away, acts without being told to.
 */
import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import { heapMapper } from "../../lib/disk/mapped-file.ts";
import type { Offset } from "../../types.ts";
import { type ChainEnd, chainStart, scanStore } from "../frame/chain.ts";
import {
  batchRecordsMax,
  checkFrame,
  frameBaseOffset,
  frameHeader,
  frameNextOffset,
  frameRecordCount,
  frameTimestampMs,
  headerBytes,
} from "../frame/frame.ts";
import { Catalog, type CatalogChanges, catalogChange } from "../segment/catalog.ts";
import { decodeIndexHeader, encodeFooter, indexHeaderBytes, type SealFacts } from "../segment/index-file.ts";
import { ActiveIndex, entryBytes } from "../segment/offset-index.ts";
import { baseOf, firstOf, indexBody, indexer, type SegmentMeta } from "../segment/segment.ts";
import { firstIndexOf, SegmentFiles, storeName } from "../segment/segment-files.ts";
import { LogState } from "../state/log-state.ts";
import { type LogDirectory, unreadableKeys, type VerifyReport, verifyLog } from "./verify.ts";

/** One thing a repair does. */
export interface RepairAction {
  readonly action:
    | "cut"
    | "set-aside"
    | "build-index"
    | "build-catalog"
    | "forget-commit"
    | "forget-value"
    | "accept-keys"
    | "keep-identity"
    | "new-identity";
  readonly file: string;
  /** For a cut: from here on, so many bytes. */
  readonly position: number;
  readonly bytes: number;
}

export interface RepairPlan {
  readonly actions: readonly RepairAction[];
  /** The log would end before this offset. */
  readonly next: Offset;
  /** So many records that are there now would be gone from the log. */
  readonly lost: number;
}

/** A segment that stays, or the part of it that stays. */
interface Kept {
  readonly meta: SegmentMeta;
  readonly index: ActiveIndex;
  readonly end: ChainEnd;
  readonly bytes: number;
  readonly fileBytes: number;
}

/** Whom the directory belongs to afterwards. */
export interface RepairOptions {
  /** For a directory that others count on. Without it the directory stays whose it is. */
  readonly identity?: NewIdentity;
  /** The log is sound, and the directory's claim to its place is not: other nodes refuse it. */
  readonly refused?: boolean;
  /** Written in the same transaction where the directory stays whose it is. */
  readonly unchanged?: CatalogChanges;
}

/** Another identity for the directory, in place of the one that made promises. */
export interface NewIdentity {
  /** 16 bytes of chance. */
  readonly directoryId: Uint8Array;
  /** Do others count on what the directory of this id has promised? A lost catalog cannot tell, so it always may be. */
  readonly needed: (current: Uint8Array) => boolean;
  /** Written to the stable store in the same transaction: what says what place it had is to go. */
  readonly changes: CatalogChanges;
}

/**
 * What a repair would do; with `yes`, does it. An empty list of actions: there is nothing to repair. Throws Fault
 * "not-found", "unsupported-version", and "failed-precondition" when not even the directory's id can be found.
 */
export function repairLog(place: LogDirectory, yes: boolean, options: RepairOptions = {}): RepairPlan {
  return new Repair(place, options).run(yes);
}

class Repair {
  readonly #place: LogDirectory;
  readonly #files: SegmentFiles;
  readonly #catalog: Catalog;
  readonly #options: RepairOptions;
  readonly #actions: RepairAction[] = [];

  constructor(place: LogDirectory, options: RepairOptions) {
    this.#place = place;
    this.#options = options;
    this.#files = new SegmentFiles(`${place.directory}/log`, place.disk, heapMapper(place.disk), 4);
    this.#catalog = new Catalog(place.store);
  }

  run(yes: boolean): RepairPlan {
    const report = verifyLog(this.#place);
    const reached = report.next;
    const { refused = false } = this.#options;
    if (report.findings.length === 0 && !refused) return { actions: [], next: reached, lost: 0 };
    const withoutCatalog = report.findings.some(({ file, kind }) => file === "meta" && kind === "catalog");
    const { whole } = this.#place.store;
    // A segment that no list knows, while keys have gone by themselves, is one whose key went.
    const lost = (kind: string): boolean =>
      kind === "no-catalog" || (!whole && kind === "not-in-the-catalog");
    const lostCatalog = withoutCatalog || report.findings.some(({ kind }) => lost(kind));
    const metas = lostCatalog ? this.#metasFromFiles() : this.#catalog.segments();
    if (lostCatalog) this.#note("build-catalog", "meta", 0, 0);
    const kept = this.#follow(metas);
    this.#planFiles(report, kept, lostCatalog);
    const last = kept[kept.length - 1];
    const commit = lostCatalog ? 0 : quietly(() => this.#catalog.commit(), 0);
    if ((last?.end.index ?? 0) < commit) this.#note("forget-commit", "meta", 0, 0);
    const forgotten = unreadableKeys(this.#place.store).filter((key) => !key.startsWith("log/"));
    for (const key of forgotten) this.#note("forget-value", `meta/${key}`, 0, 0);
    if (!whole) this.#note("accept-keys", "meta", 0, 0);
    const changed = this.#changedIdentity(lostCatalog);
    if (changed !== undefined) this.#note("new-identity", "meta", 0, 0);
    else if (refused) this.#note("keep-identity", "meta", 0, 0);
    const next = last?.end.nextOffset ?? metas[0]?.before.nextOffset ?? 0;
    const known = metas.reduce((most, meta) => Math.max(most, this.#knownNext(meta)), reached);
    if (yes) this.#apply(kept, lostCatalog, forgotten, changed);
    return { actions: this.#actions, next, lost: Math.max(0, known - next) };
  }

  #changedIdentity(lostCatalog: boolean): NewIdentity | undefined {
    const current = lostCatalog ? undefined : quietly(() => this.#catalog.directoryId(), undefined);
    const { identity } = this.#options;
    return current === undefined || identity?.needed(current) === true ? identity : undefined;
  }

  /** The longest beginning of the log that holds together. */
  #follow(metas: readonly SegmentMeta[]): Kept[] {
    const kept: Kept[] = [];
    let end = metas[0]?.before;
    for (const meta of metas) {
      const name = storeName(firstOf(meta));
      const path = this.#files.storePath(firstOf(meta));
      if (end === undefined || meta.before.crc !== end.crc || meta.before.index !== end.index) break;
      if (!this.#place.disk.exists(path)) break;
      const file = this.#place.disk.open(path, "read");
      const index = new ActiveIndex(baseOf(meta));
      const fileBytes = file.size();
      const scan = scanStore(
        file,
        fileBytes,
        { ...meta.before, term: end.term, timestampMs: end.timestampMs },
        indexer(index),
      );
      file.close();
      const whole = { ...meta, before: end };
      kept.push({ meta: whole, index, end: scan.end, bytes: scan.position, fileBytes });
      end = scan.end;
      const short = meta.seal !== undefined && scan.position < meta.seal.storeBytes;
      if (scan.flaw !== undefined) this.#note("cut", name, scan.position, fileBytes - scan.position);
      // What lies behind a segment's sealed end was never part of the log; the next segment follows all the same.
      const complete = scan.position === meta.seal?.storeBytes && scan.end.crc === meta.seal.lastCrc;
      if ((scan.flaw !== undefined && !complete) || short) break;
    }
    return kept;
  }

  #planFiles(report: VerifyReport, kept: readonly Kept[], all: boolean): void {
    const { disk } = this.#place;
    const stays = new Set(kept.map(({ meta }) => firstOf(meta)));
    for (const name of disk.list(this.#files.directory)) {
      const first = firstIndexOf(name, "store");
      if (first === undefined || stays.has(first)) continue;
      const file = disk.open(`${this.#files.directory}/${name}`, "read");
      this.#note("set-aside", name, 0, file.size());
      file.close();
    }
    for (const { meta, bytes } of kept) {
      const name = `${storeName(firstOf(meta)).slice(0, 20)}.index`;
      const store = storeName(firstOf(meta));
      const shorter = bytes !== meta.seal?.storeBytes;
      const isCut = shorter && this.#actions.some(({ action, file }) => action === "cut" && file === store);
      const found = report.findings.some(({ file }) => file === name);
      if (all || found || isCut) this.#note("build-index", name, 0, 0);
    }
  }

  #apply(
    kept: readonly Kept[],
    lostCatalog: boolean,
    forgotten: readonly string[],
    identity: NewIdentity | undefined,
  ): void {
    const { disk, store } = this.#place;
    const id = identity?.directoryId ?? (lostCatalog ? this.#idFromFiles() : this.#catalog.directoryId());
    assert(id !== undefined, "a directory without an id");
    const changes: CatalogChanges[] = [];
    for (const key of store.keys("log/"))
      if (key !== "log/directory" && key !== "log/start") changes.push({ [key]: undefined });
    for (const key of forgotten) changes.push({ [key]: undefined });
    changes.push(identity?.changes ?? this.#options.unchanged ?? {}, catalogChange.directory(id));
    const first = kept[0]?.meta;
    const checkpoint =
      first === undefined || lostCatalog
        ? undefined
        : quietly(() => this.#catalog.checkpoint(firstOf(first)), undefined);
    const start = quietly(() => this.#catalog.start(), { end: chainStart, checkpoint: LogState.blank(0, 0) });
    const state = LogState.from(
      checkpoint ??
        (first === undefined
          ? start.checkpoint
          : LogState.blank(first.before.index, first.before.nextOffset)),
    );
    for (const { action, file, position, bytes } of this.#actions) {
      if (action === "cut") this.#cut(file, position, bytes);
      if (action === "set-aside")
        disk.rename(`${this.#files.directory}/${file}`, `${this.#files.directory}/${file}.cut`);
    }
    for (const [ordinal, part] of kept.entries()) {
      const from = firstOf(part.meta);
      const seal = ordinal === kept.length - 1 ? undefined : sealOf(part);
      const meta = { ...part.meta, seal };
      const body = indexBody(id, meta.before.crc, part.index);
      this.#files.replace(
        this.#files.indexPath(from),
        seal === undefined ? body : Buffer.concat([body, encodeFooter(body, seal)]),
      );
      changes.push(
        catalogChange.segment(meta),
        catalogChange.checkpoint(from, state.checkpointAt(meta.before.index)),
      );
      const file = disk.open(this.#files.storePath(from), "read");
      scanStore(file, part.bytes, meta.before, (bytes, at) => {
        state.stage(bytes, at);
      });
      file.close();
      state.commitTo(part.end.index);
    }
    disk.syncDirectory(this.#files.directory);
    const boundary = kept[kept.length - 1]?.meta.before.index ?? 0;
    // In a cluster a leader may yet replace what is not known to be committed.
    const isOurs = identity === undefined;
    const known = isOurs ? boundary : lostCatalog ? 0 : quietly(() => this.#catalog.commit(), 0);
    const commit = Math.max(first?.before.index ?? 0, Math.min(boundary, known));
    changes.push(catalogChange.commit(commit));
    this.#catalog.write(...changes);
  }

  /** How far a segment reached, damage or not: as its seal says, or the last frame that its index knows. */
  #knownNext(meta: SegmentMeta): Offset {
    if (meta.seal !== undefined) return meta.seal.nextOffset;
    const { disk } = this.#place;
    const [indexPath, storePath] = [
      this.#files.indexPath(firstOf(meta)),
      this.#files.storePath(firstOf(meta)),
    ];
    if (!disk.exists(indexPath) || !disk.exists(storePath)) return 0;
    const index = heapMapper(disk)(indexPath);
    const store = heapMapper(disk)(storePath);
    const bytes = store.copy(0, store.bytes);
    for (let at = index.bytes - entryBytes; at >= indexHeaderBytes; at -= entryBytes) {
      const position = index.u32(at + 4);
      const sound = checkFrame(bytes, position, bytes.length) === undefined;
      const ordinal = (at - indexHeaderBytes) / entryBytes;
      const place = { index: firstOf(meta) + ordinal, offset: meta.before.nextOffset + index.u32(at) };
      if (sound || hasHeadOf(bytes, position, place)) return frameNextOffset(bytes, position);
    }
    return 0;
  }

  #cut(name: string, position: number, bytes: number): void {
    const { disk } = this.#place;
    const file = disk.open(`${this.#files.directory}/${name}`, "write");
    const copy = disk.open(`${this.#files.directory}/${this.#free(`${name}.${position}`)}`, "create");
    const buffer = new Uint8Array(Math.min(bytes, 1 << 20));
    for (let done = 0; done < bytes; done += buffer.length) {
      const part = buffer.subarray(0, Math.min(buffer.length, bytes - done));
      file.read(part, position + done);
      copy.write(part, done);
    }
    copy.sync();
    copy.close();
    disk.syncDirectory(this.#files.directory);
    file.truncate(position);
    file.sync();
    file.close();
  }

  /** A name with `.cut` that no file has yet. */
  #free(stem: string): string {
    let name = `${stem}.cut`;
    for (let n = 2; this.#place.disk.exists(`${this.#files.directory}/${name}`); n++)
      name = `${stem}.${n}.cut`;
    return name;
  }

  /** The list of segments as the index files' headers, or the stores themselves, tell it. */
  #metasFromFiles(): SegmentMeta[] {
    const { disk } = this.#place;
    const metas: SegmentMeta[] = [];
    let end: ChainEnd | undefined;
    for (const name of disk.list(this.#files.directory)) {
      const first = firstIndexOf(name, "store");
      if (first === undefined) continue;
      let before: ChainEnd | undefined = end?.index === first - 1 ? end : this.#beforeFromHeader(first);
      if (before === undefined) break;
      const file = disk.open(this.#files.storePath(first), "read");
      let baseTimestampMs: number | undefined;
      let baseOffset: Offset | undefined;
      const scan = scanStore(file, file.size(), before, (bytes, at) => {
        baseTimestampMs ??= frameTimestampMs(bytes, at);
        baseOffset ??= frameBaseOffset(bytes, at);
      });
      // The first frame of all says where offsets begin.
      if (before.index === 0) before = { ...before, nextOffset: baseOffset ?? before.nextOffset };
      file.close();
      metas.push({ before, baseTimestampMs: baseTimestampMs ?? before.timestampMs, seal: undefined });
      end = scan.end;
    }
    return metas;
  }

  /** Term and time of the batch before are not in a header: the lowest will do, since they are only floors. */
  #beforeFromHeader(first: number): ChainEnd | undefined {
    const header = this.#header(first);
    if (header === undefined) return first === 1 ? chainStart : undefined;
    return {
      index: first - 1,
      term: 0,
      nextOffset: header.base.offset,
      timestampMs: 0,
      crc: header.previousCrc,
    };
  }

  #header(first: number): ReturnType<typeof decodeIndexHeader> {
    const path = this.#files.indexPath(first);
    if (!this.#place.disk.exists(path)) return undefined;
    const file = heapMapper(this.#place.disk)(path);
    return decodeIndexHeader(file.copy(0, Math.min(64, file.bytes)));
  }

  #idFromFiles(): Uint8Array {
    for (const name of this.#place.disk.list(this.#files.directory)) {
      const first = firstIndexOf(name, "index");
      const header = first === undefined ? undefined : this.#header(first);
      if (header !== undefined) return header.directoryId;
    }
    throw new Fault("failed-precondition", { message: "no index file tells the directory's id" });
  }

  #note(action: RepairAction["action"], file: string, position: number, bytes: number): void {
    this.#actions.push({ action, file, position, bytes });
  }
}

/** Is this the frame that the index means, whatever became of its records? */
function hasHeadOf(
  bytes: Uint8Array,
  position: number,
  { index, offset }: { readonly index: number; readonly offset: Offset },
): boolean {
  if (position + headerBytes > bytes.length) return false;
  const found = frameHeader(bytes, position);
  const records = frameRecordCount(bytes, position);
  return found.index === index && found.baseOffset === offset && records <= batchRecordsMax;
}

function sealOf({ index, end, bytes }: Kept): SealFacts {
  return {
    entries: index.length,
    nextOffset: end.nextOffset,
    lastTimestampMs: end.timestampMs,
    storeBytes: bytes,
    lastCrc: end.crc,
    lastTerm: end.term,
  };
}

function quietly<T>(work: () => T, otherwise: T): T {
  try {
    return work();
  } catch (reason) {
    if (reason instanceof Fault && reason.kind === "corrupt") return otherwise;
    throw reason;
  }
}
