/**
 * Carries out a repair: cuts stores, sets files aside, writes the index files and the catalog of what stays. Bytes that are
 * cut off are kept in a file `*.cut`.
 */
import { assert } from "../../lib/assert.ts";
import type { RaftIndex } from "../../types.ts";
import { encodeFooter, type SealFacts } from "../index/index-file.ts";
import { encodeLogIndex } from "../index/sealed-log-index.ts";
import { indexBody } from "../index/segment-index.ts";
import { type Catalog, type CatalogChanges, catalogChange } from "../segment/catalog.ts";
import { firstOf, type SegmentMeta } from "../segment/segment.ts";
import type { SegmentFiles } from "../segment/segment-files.ts";
import { directoryIdFromFiles } from "./rebuild-catalog.ts";
import { type KeptSegment, type NewIdentity, orIfCorrupt, type RepairAction } from "./repair-plan.ts";

export interface RepairWork {
  readonly files: SegmentFiles;
  readonly catalog: Catalog;
  /** All keys of the log in the stable store. */
  readonly keys: readonly string[];
  readonly actions: readonly RepairAction[];
  readonly kept: readonly KeptSegment[];
  readonly lostCatalog: boolean;
  /** The level of the log that stays. */
  readonly level: number;
  /** The index of the base file that stays; 0 for none. The database of rows is built again. */
  readonly base: RaftIndex;
  /** Segments whose files the next start removes. */
  readonly doomed: readonly RaftIndex[];
  /** Keys of other modules whose values are damaged. */
  readonly damagedKeys: readonly string[];
  /** Undefined: the directory keeps its identity. */
  readonly identity: NewIdentity | undefined;
  /** Written if the directory keeps its identity. */
  readonly unchanged: CatalogChanges;
}

/** @throws Fault "failed-precondition" if the directory's id cannot be found */
export function applyRepair(work: RepairWork): void {
  const { files, catalog, keys, actions, kept, lostCatalog, damagedKeys, identity, unchanged } = work;
  const id = identity?.directoryId ?? (lostCatalog ? directoryIdFromFiles(files) : catalog.directoryId());
  assert(id !== undefined, "a directory without an id");
  const removed = keys.filter((key) => key !== "log/directory" && key !== "log/start");
  const changes: CatalogChanges[] = [...removed, ...damagedKeys].map((key) => ({ [key]: undefined }));
  changes.push(identity?.changes ?? unchanged);
  for (const { action, file, position, bytes } of actions) {
    const path = `${files.directory}/${file}`;
    if (action === "cut") cutStore(files, file, position, bytes);
    if (action === "set-aside") files.disk.rename(path, `${path}.cut`);
  }
  for (const [ordinal, segment] of kept.entries()) {
    const seal = ordinal === kept.length - 1 ? undefined : sealOf(segment);
    changes.push(...writeSegment(files, id, segment, seal));
  }
  files.disk.syncDirectory(files.directory);
  changes.push(catalogChange.cut(cutAfter(work)), catalogChange.pendingRemovals(work.doomed));
  changes.push(catalogChange.rowFiles({ base: work.base, generation: 0 }));
  changes.push(catalogChange.directory(id, work.level), catalogChange.commit(commitAfter(work)));
  catalog.write(...changes);
}

/** Writes the index files of a segment that stays. Returns its catalog entries. */
function writeSegment(
  files: SegmentFiles,
  id: Uint8Array,
  segment: KeptSegment,
  seal: SealFacts | undefined,
): CatalogChanges[] {
  const { checkpoint, logs, settled } = segment;
  const { before, baseTimestampMs } = segment.meta;
  const first = firstOf(segment.meta);
  const body = indexBody(id, before.crc, segment.index);
  const footer = seal === undefined ? [] : [encodeFooter(body, seal)];
  files.replace(files.indexPath(first), Buffer.concat([body, ...footer]));
  const named = seal === undefined ? 0 : logs.entries;
  if (seal !== undefined && named > 0) {
    const file = encodeLogIndex(logs, { directoryId: id, first, store: seal }, segment.index);
    files.replace(files.logsPath(first), file);
  }
  const meta: SegmentMeta = {
    before,
    baseTimestampMs,
    seal,
    ...(settled.frames === 0 || seal === undefined ? {} : { settled }),
    ...(named > 0 ? { namedBatches: named, namedBytes: logs.bytesIn(segment.index, segment.bytes) } : {}),
  };
  return [catalogChange.segment(meta), catalogChange.checkpoint(first, checkpoint)];
}

function sealOf({ index, end, bytes }: KeptSegment): SealFacts {
  return {
    entries: index.length,
    nextOffset: end.nextOffset,
    lastTimestampMs: end.timestampMs,
    storeBytes: bytes,
    lastCrc: end.crc,
    lastTerm: end.term,
  };
}

/** Where this repair, or one before it, cut the log. */
function cutAfter({ catalog, kept, lostCatalog, actions }: RepairWork): RaftIndex | undefined {
  const before = lostCatalog ? undefined : orIfCorrupt(() => catalog.cut(), undefined);
  if (!actions.some(({ action }) => action === "cut" || action === "set-aside")) return before;
  const end = kept[kept.length - 1]?.end.index ?? 0;
  return Math.min(end, before ?? end);
}

/** The commit index of the repaired log. In a cluster, a leader may still replace what is not known to be committed. */
function commitAfter({ catalog, kept, lostCatalog, identity }: RepairWork): number {
  const boundary = kept[kept.length - 1]?.meta.before.index ?? 0;
  const saved = (): number => (lostCatalog ? 0 : orIfCorrupt(() => catalog.commit(), 0));
  const known = identity === undefined ? boundary : saved();
  return Math.max(kept[0]?.meta.before.index ?? 0, Math.min(boundary, known));
}

function cutStore(files: SegmentFiles, name: string, position: number, bytes: number): void {
  const { disk, directory } = files;
  const store = disk.open(`${directory}/${name}`, "write");
  const copy = disk.open(`${directory}/${freeName(files, `${name}.${position}`)}`, "create");
  const buffer = new Uint8Array(Math.min(bytes, 1 << 20));
  for (let done = 0; done < bytes; done += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, bytes - done));
    store.read(part, position + done);
    copy.write(part, done);
  }
  copy.sync();
  copy.close();
  disk.syncDirectory(directory);
  store.truncate(position);
  store.sync();
  store.close();
}

/** A name with `.cut` that no file has yet. */
function freeName({ disk, directory }: SegmentFiles, stem: string): string {
  let name = `${stem}.cut`;
  for (let n = 2; disk.exists(`${directory}/${name}`); n++) name = `${stem}.${n}.cut`;
  return name;
}
