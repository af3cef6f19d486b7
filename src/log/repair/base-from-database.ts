/**
 * Builds a lost base file, the rows at the start of the log, from the database, which has the rows at a later index.
 *
 *   base := rows of the database − what the frames between say about them
 *
 * A log without a frame between has the same row. Commands state their effect, so most of the others can be undone. What a later
 * command replaces (settings before a configure, everything of a log that was deleted) is unknown and of no effect: it is chosen so
 * that the frames lead to the rows of the database again. That is checked, log by log, before the base gets its name.
 */
import { Fault } from "../../fault.ts";
import { mergeBase, type RowChange, type RowDatabase, type RowStore } from "../../rows/mod.ts";
import type { LogId, RaftIndex } from "../../types.ts";
import { type ChainEnd, scanStore, type VisitFrame } from "../frame/chain.ts";
import {
  batchKind,
  frameBaseOffset,
  frameBytes,
  frameCommand,
  frameKind,
  frameLogId,
} from "../frame/frame.ts";
import { decodeLogTrim, type TrimCommand } from "../frame/log-command.ts";
import { isZeroTail } from "../frame/zero-tail.ts";
import { RowsCheck } from "../recovery/check-rows.ts";
import { basePath } from "../rows/base-files.ts";
import type { HeldRows } from "../rows/held-rows.ts";
import { type Catalog, catalogChange } from "../segment/catalog.ts";
import { firstOf, type SegmentMeta } from "../segment/segment.ts";
import type { SegmentFiles } from "../segment/segment-files.ts";
import type { LogRow } from "../state/log-row.ts";
import { LogTable } from "../state/log-table.ts";
import { decodeHead, decodeRow, emptyHead, encodeHead, encodeRow, type RowsAt } from "../state/row-codec.ts";

export interface LostBase {
  readonly files: SegmentFiles;
  readonly catalog: Catalog;
  readonly store: RowStore;
  readonly directoryId: Uint8Array;
}

/** What the frames between say about a log that was there before them. */
interface Between {
  firstOffset: number | undefined;
  bytes: number;
  readonly trims: TrimCommand[];
  isClosed: boolean;
  isHidden: boolean;
  isTouched: boolean;
  isCursor: boolean;
}

const pageRows = 1000;

/** Returns the index of a database from which the base can be built; undefined if there is none. */
export function databaseForBase({ catalog, store, directoryId }: LostBase): RaftIndex | undefined {
  const { generation } = catalog.rowFiles();
  const metas = catalog.segments();
  if (!store.generations().includes(generation)) return undefined;
  let database: RowDatabase | undefined;
  try {
    database = store.open({ directoryId, generation }, catalog.firstStartHead(metas[0]).end.index);
    const { index, crc } = decodeHead(database.head);
    return endsOf(metas).some((end) => end.index === index && end.crc === crc) ? index : undefined;
  } catch (reason) {
    if (reason instanceof Fault && reason.kind === "corrupt") return undefined;
    throw reason;
  } finally {
    void database?.close();
  }
}

/** The ends of the log at which a segment begins or ends. */
const endsOf = (metas: readonly SegmentMeta[]): readonly Pick<ChainEnd, "index" | "crc">[] =>
  metas.flatMap(({ before, seal }) => [
    before,
    ...(seal === undefined ? [] : [{ index: before.index + seal.entries, crc: seal.lastCrc }]),
  ]);

/**
 * Writes the base from the database as of `to`, durably, and names it in the catalog.
 * @throws Fault "corrupt" if the database is damaged, or if its rows are not those of the base and the frames
 */
export function baseFromDatabase(lost: LostBase, to: RaftIndex, held: HeldRows): void {
  const { files, catalog, store, directoryId } = lost;
  const metas = catalog.segments();
  const { end, checkpoint } = catalog.firstStartHead(metas[0]);
  const head = checkpoint.logs ?? emptyHead;
  const at: RowsAt = { index: end.index, crc: end.crc, head };
  const { generation } = catalog.rowFiles();
  const before = metas.filter((meta) => meta.before.index < to);
  const between = framesBetween(files, before, head.nextId);
  const path = basePath(files, at.index);
  // A start removes it.
  const unfinished = `${path}.part`;
  const database = store.open({ directoryId, generation }, at.index);
  try {
    const changes = rowsBefore(database, between, at);
    for (const _ of mergeBase(files.disk, undefined, unfinished, changes, encodeHead(at)));
  } finally {
    void database.close();
  }
  const source = files.disk.open(unfinished, "read");
  try {
    const start = { end, checkpoint: { ...checkpoint, producers: [] }, rows: source };
    held.take(start);
  } finally {
    source.close();
  }
  checkAgainst(lost, before, new LogTable(head, held.rows));
  files.disk.rename(unfinished, path);
  files.disk.syncDirectory(files.directory);
  catalog.write(catalogChange.rowFiles({ base: at.index, generation }));
}

/** Folds the frames onto the rows of the base. They must be those of the database then. @throws Fault "corrupt" */
function checkAgainst(lost: LostBase, metas: readonly SegmentMeta[], table: LogTable): void {
  const { store, directoryId, catalog, files } = lost;
  const found: string[] = [];
  const check = RowsCheck.open(store, directoryId, catalog.rowFiles().generation, (file, _, kind) => {
    found.push(`${file}: ${kind}`);
  });
  let last = catalog.firstStartHead(metas[0]).end;
  for (const meta of metas) {
    last = scan(files, meta, (bytes, at) =>
      frameLogId(bytes, at) === 0 ? undefined : table.stage(bytes, at),
    );
    table.commitTo(last.index);
  }
  check?.reached(last, table);
  check?.end(0, true);
  if (check === undefined || found.length > 0) throw notDerived(found.join(", "));
}

function scan(files: SegmentFiles, meta: SegmentMeta, visit: VisitFrame): ChainEnd {
  const store = files.disk.open(files.storePath(firstOf(meta)), "read");
  try {
    const fileBytes = store.size();
    const found = scanStore(store, fileBytes, meta.before, visit);
    const isSound = meta.seal === undefined && isZeroTail(store, found.position, fileBytes);
    if (found.flaw !== undefined && !isSound) throw notDerived(found.flaw);
    return found.end;
  } finally {
    store.close();
  }
}

/** What the frames of these segments say about logs below `nextId`. */
function framesBetween(
  files: SegmentFiles,
  metas: readonly SegmentMeta[],
  nextId: LogId,
): ReadonlyMap<LogId, Between> {
  const logs = new Map<LogId, Between>();
  for (const meta of metas) {
    if (meta.namesLogs === false) continue;
    scan(files, meta, (bytes, at) => {
      const id = frameLogId(bytes, at);
      if (id === 0 || id >= nextId) return undefined;
      const log = logs.get(id) ?? nothingBetween();
      logs.set(id, log);
      // Every frame about a log holds its next offset.
      log.firstOffset ??= frameBaseOffset(bytes, at);
      const kind = frameKind(bytes, at);
      if (kind === batchKind.data) log.bytes += frameBytes(bytes, at);
      else if (kind === batchKind.trimLog) log.trims.push(decodeLogTrim(frameCommand(bytes, at)));
      else if (kind === batchKind.closeLog) log.isClosed = true;
      else if (kind === batchKind.hideLog) log.isHidden = true;
      else if (kind === batchKind.touchLog) log.isTouched = true;
      else if (kind === batchKind.commitCursor) log.isCursor = true;
      return undefined;
    });
  }
  return logs;
}

/** The rows before the frames, by id. @throws Fault "corrupt" */
function* rowsBefore(
  database: RowDatabase,
  between: ReadonlyMap<LogId, Between>,
  { index, head }: RowsAt,
): Generator<RowChange, void> {
  const touched = [...between.keys()].sort((one, other) => one - other);
  let next = 0;
  for (let afterId = -1; ; ) {
    const page = database.rowsAfter(afterId, pageRows);
    for (const { id, row } of page) {
      if (id >= head.nextId) break;
      while (touched[next] !== undefined && touched[next]! < id) yield deleted(touched[next++]!, between);
      if (row === undefined) throw notDerived(`the row of log ${id}`);
      const log = between.get(id);
      if (log !== undefined) next++;
      yield { id, row: log === undefined ? row : encodeRow(undone(decodeRow(row), log, index)) };
    }
    const last = page[page.length - 1]?.id ?? head.nextId;
    if (page.length < pageRows || last >= head.nextId) break;
    afterId = last;
  }
  while (touched[next] !== undefined) yield deleted(touched[next++]!, between);
}

/** The row before the frames. Its version is the highest one that it can have: a delete up to a lower one was passed over. */
function undone(
  { deleted, touchedMs, ...row }: LogRow,
  { firstOffset = row.next, trims, isClosed, isHidden, isTouched, ...between }: Between,
  index: RaftIndex,
): LogRow {
  let { lowest } = row;
  let removed = 0;
  for (const trim of trims.toReversed()) {
    if (trim.to !== lowest) continue;
    lowest = trim.from;
    removed += trim.bytes;
  }
  return {
    ...row,
    lowest,
    next: firstOffset,
    bytes: Math.max(0, row.bytes + removed - between.bytes),
    lastMs: between.bytes > 0 ? 0 : row.lastMs,
    lastIndex: between.bytes > 0 ? 0 : row.lastIndex,
    version: Math.min(row.version, index),
    closed: row.closed && !isClosed,
    ...(deleted === undefined || isHidden ? {} : { deleted }),
    ...(touchedMs === undefined || isTouched ? {} : { touchedMs }),
  };
}

const nothingBetween = (): Between => ({
  firstOffset: undefined,
  bytes: 0,
  trims: [],
  isClosed: false,
  isHidden: false,
  isTouched: false,
  isCursor: false,
});

/** A log that the frames delete: only its id and its next offset are known. No client can give a log this name. */
function deleted(id: LogId, between: ReadonlyMap<LogId, Between>): RowChange {
  const { firstOffset: next = 0, isCursor } = between.get(id)!;
  const numbers = { createdMs: 0, lowest: 0, next, bytes: 0, lastMs: 0, lastIndex: 0, version: 0 };
  const cursor = isCursor ? { cursor: { log: 0, offset: 0 } } : {};
  return {
    id,
    row: encodeRow({ id, name: `_deleted/${id}`, settings: {}, ...numbers, closed: false, ...cursor }),
  };
}

const notDerived = (why: string): Fault =>
  new Fault("corrupt", {
    message: `the named logs at the start of the log cannot be derived from the database (${why})`,
    facts: { why: "rows" },
  });
