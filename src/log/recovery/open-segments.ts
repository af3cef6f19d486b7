/**
 * Opens what a log has on disk: catalog, segments and the state that they hold.
 */
import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import { errorCode, troubleOf } from "../../lib/disk/disk.ts";
import type { Offset, RaftIndex } from "../../types.ts";
import type { SegmentedLogOptions } from "../log-options.ts";
import { checkInitialOffset } from "../offset-limit.ts";
import { Catalog, catalogChange, type LogStart } from "../segment/catalog.ts";
import { DamageRegistry, damageRefusal } from "../segment/damage.ts";
import { SegmentFiles } from "../segment/segment-files.ts";
import { SegmentSet } from "../segment/segment-set.ts";
import type { LogState } from "../state/log-state.ts";
import { foldSealed } from "./fold-segments.ts";
import { ensureDirectoryId, type RecoveryReport, recover } from "./recover.ts";
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
}

const openFilesDefault = 64;

/** @throws Fault "config", "corrupt", "foreign-directory", "unsupported-version"; "disk-full", "disk-failed" */
export function openSegments(options: SegmentedLogOptions): OpenedSegments {
  try {
    return openAll(options);
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
  const catalog = new Catalog(store);
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
  const start = startOf(catalog, initialOffset);
  const savedCommit = catalog.commit();
  let state: LogState | undefined;
  const checkBytesMax = options.checkBytesMax ?? checkBytesDefault;
  const { all, active, report } = recover(files, catalog, directoryId, checkBytesMax, (before, last) => {
    state = foldSealed(catalog, start, savedCommit, before, last);
    return state;
  });
  assert(state !== undefined, "the state was not folded");
  const set = new SegmentSet({ files, catalog, directoryId, start, all, active });
  const { index } = set.end;
  if (index < savedCommit) {
    active?.close();
    const why = `it ends at index ${index}, but index ${savedCommit} was committed`;
    throw damageRefusal({ path: active?.path ?? `${logDirectory}/meta`, position: active?.bytes ?? 0, why });
  }
  const wasUnsynced = catalog.unsynced();
  const { unsynced = false } = options;
  if (wasUnsynced !== unsynced) catalog.write(catalogChange.unsynced(unsynced));
  return { directoryId, catalog, files, set, state, savedCommit, report, wasUnsynced };
}

/** Where the log starts. `initialOffset` counts only for a log that never had a batch. */
function startOf(catalog: Catalog, initialOffset: Offset): LogStart {
  const start = catalog.start();
  if (start.end.index > 0 || initialOffset === 0) return start;
  return {
    end: { ...start.end, nextOffset: initialOffset },
    checkpoint: { ...start.checkpoint, lowest: initialOffset },
  };
}
