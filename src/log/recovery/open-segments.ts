/**
 * Opens what a log has on disk: catalog, segments and the state that they hold.
 */
import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import { errorCode, troubleOf } from "../../lib/disk/disk.ts";
import type { Offset, RaftIndex } from "../../types.ts";
import type { SegmentedLogOptions } from "../log-options.ts";
import { checkInitialOffset } from "../offset-limit.ts";
import { inlineProducersDefault, readProducers } from "../producers/producers-file.ts";
import { openBaseAt } from "../rows/base-files.ts";
import { HeldRows } from "../rows/held-rows.ts";
import { convertInlineRows } from "../rows/inline-rows.ts";
import { builtAgain, openDatabase, type RowPlace, rowCheckpointsDefault } from "../rows/row-place.ts";
import { Catalog, catalogChange, type LogStart, nextGeneration } from "../segment/catalog.ts";
import { DamageRegistry, damageRefusal } from "../segment/damage.ts";
import { SegmentFiles } from "../segment/segment-files.ts";
import { SegmentSet } from "../segment/segment-set.ts";
import type { LogState } from "../state/log-state.ts";
import { emptyHead } from "../state/row-codec.ts";
import { type FoldedLog, foldSealed } from "./fold-segments.ts";
import {
  ensureDirectoryId,
  type FoldFrames,
  type Recovered,
  type RecoveryReport,
  recover,
} from "./recover.ts";
import { checkBytesDefault } from "./sealed-check.ts";

export interface OpenedSegments {
  readonly directoryId: Uint8Array;
  readonly catalog: Catalog;
  readonly files: SegmentFiles;
  readonly set: SegmentSet;
  /** Folded from all batches, of which those up to `savedCommit` are known to be committed. */
  readonly state: LogState;
  readonly savedCommit: RaftIndex;
  readonly report: RecoveryReport;
  /** The process before this one did not sync every group. */
  readonly wasUnsynced: boolean;
  /** Where the rows of named logs are. */
  readonly place: RowPlace;
}

const openFilesDefault = 64;

/** Rows of so many checkpoints are in memory while the database is built again: about 32 MiB. */
const heldCheckpoints = 4;

/** The database of rows is damaged. The catalog says so, and it is not opened again. */
class DamagedRows extends Error {}

/** @throws Fault "config", "corrupt", "foreign-directory", "unsupported-version"; "disk-full", "disk-failed" */
export function openSegments(options: SegmentedLogOptions): OpenedSegments {
  try {
    try {
      return openAll(options);
    } catch (reason) {
      if (!(reason instanceof DamagedRows)) throw reason;
      options.logger?.warn({}, builtAgain);
      return openAll(options);
    }
  } catch (reason) {
    if (reason instanceof Fault || errorCode(reason) === "") throw reason;
    const message = `the log in ${options.directory} cannot be opened, ${(reason as Error).message}`;
    throw new Fault(troubleOf(reason) === "full" ? "disk-full" : "disk-failed", { message, cause: reason });
  }
}

function openAll(options: SegmentedLogOptions): OpenedSegments {
  const { directory, disk, store, mapper, initialOffset = 0 } = options;
  checkInitialOffset(initialOffset);
  const logDirectory = `${directory}/log`;
  disk.makeDirectory(logDirectory);
  const catalog = new Catalog(store, (file) => readProducers(disk, logDirectory, file));
  const directoryId = ensureDirectoryId(disk, directory, catalog, options.newDirectoryId);
  const damage = new DamageRegistry((first, found) => {
    catalog.write(catalogChange.damage(first, found));
  }, options.logger);
  const files = new SegmentFiles(
    logDirectory,
    disk,
    mapper,
    options.openFilesMax ?? openFilesDefault,
    damage,
  );
  convertInlineRows(catalog, files, directoryId);
  const start = startOf(catalog, initialOffset);
  const place = rowPlaceOf(options, files, directoryId);
  const damaged = (): void => {
    catalog.write(catalogChange.rowFiles(nextGeneration(catalog.rowFiles())));
    throw new DamagedRows();
  };
  const savedCommit = catalog.commit();
  let state: LogState | undefined;
  const checkBytesMax = options.checkBytesMax ?? checkBytesDefault;
  const fold: FoldFrames = (before, last) => {
    state = foldWithRows({ catalog, start, savedCommit, sealed: before, last }, place, damaged);
    return state;
  };
  let recovered: Recovered;
  try {
    recovered = recover(files, catalog, directoryId, checkBytesMax, fold);
  } catch (reason) {
    // The caller may open it again.
    state?.logs.stored.database?.closeNow();
    throw reason;
  }
  const { all, active, report } = recovered;
  assert(state !== undefined, "the state was not folded");
  const { clock } = options;
  const soon = clock === undefined ? undefined : (callback: () => void) => clock.soon(callback);
  const { inlineProducersMax = inlineProducersDefault } = options;
  const stored = start.end.index === 0 ? start : catalog.storedStart(undefined);
  const parts = { files, catalog, directoryId, start: stored, all, active, soon, inlineProducersMax };
  const set = new SegmentSet(parts);
  const { index } = set.end;
  if (index < savedCommit) {
    active?.close();
    const why = `it ends at index ${index}, but index ${savedCommit} was committed`;
    throw damageRefusal({ path: active?.path ?? `${logDirectory}/meta`, position: active?.bytes ?? 0, why });
  }
  const wasUnsynced = catalog.unsynced();
  const { unsynced = false } = options;
  if (wasUnsynced !== unsynced) catalog.write(catalogChange.unsynced(unsynced));
  return { directoryId, catalog, files, set, state, savedCommit, report, wasUnsynced, place };
}

function rowPlaceOf(
  { disk, rowStore, clock, logger, rowCheckpoints }: SegmentedLogOptions,
  { directory }: SegmentFiles,
  directoryId: Uint8Array,
): RowPlace {
  const checkpoints = { ...rowCheckpointsDefault, ...rowCheckpoints };
  return { disk, directory, directoryId, store: rowStore, clock, logger, checkpoints };
}

/** Folds the state with the rows of the database, or with those of the base if the database cannot be used. */
function foldWithRows(log: FoldedLog, place: RowPlace, damaged: () => void): LogState {
  const { catalog, sealed, last } = log;
  const metas = [...sealed.map(({ meta }) => meta), ...(last === undefined ? [] : [last])];
  const start = metas.length === 0 ? log.start : catalog.firstStartHead(metas[0]);
  const { base, generation } = catalog.rowFiles();
  if (base !== 0) openBaseAt(place, base).close();
  const ends = [...metas.map(({ before }) => before), start.end];
  const stored = openDatabase(place, generation, ({ index, crc }) =>
    ends.some((end) => end.index === index && end.crc === crc),
  );
  if (stored !== undefined) {
    stored.rows.onDamage = damaged;
    try {
      return foldSealed(log, stored);
    } catch (reason) {
      stored.rows.database?.closeNow();
      throw reason;
    }
  }
  const head = start.checkpoint.logs ?? emptyHead;
  const next = nextGeneration(catalog.rowFiles());
  const { store, directoryId } = place;
  const held = new HeldRows(
    store && ((from) => store.buildNow({ directoryId, generation: next.generation }, from)),
    heldCheckpoints * place.checkpoints.rowsMax,
  );
  try {
    held.load(place, base, head.size);
    const state = foldSealed(log, { rows: held.rows, at: { index: start.end.index, head }, held });
    // The database is whole only now.
    if (held.database !== undefined) catalog.write(catalogChange.rowFiles(next));
    return state;
  } catch (reason) {
    held.database?.closeNow();
    throw reason;
  }
}

/** Where the log starts. `initialOffset` counts only for a log that never had a batch. */
function startOf(catalog: Catalog, initialOffset: Offset): LogStart {
  const start = catalog.start(catalog.segments().length === 0);
  if (start.end.index > 0 || initialOffset === 0) return start;
  return {
    end: { ...start.end, nextOffset: initialOffset },
    checkpoint: { ...start.checkpoint, lowest: initialOffset },
  };
}
