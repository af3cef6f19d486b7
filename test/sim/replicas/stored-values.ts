/** The committed values of a stored log, of the default log and of the named ones. */
import {
  batchKind,
  cursorNameIn,
  frameBaseOffset,
  frameKind,
  frameLogId,
  isCursorRow,
  RecordCursor,
  type SegmentedLog,
} from "../../../src/log/mod.ts";
import type { LogId, Offset } from "../../../src/types.ts";
import { keyOf, type SeenCursor } from "../checks/cursor-history.ts";

const chunkBytes = 1 << 20;

/** Returns the values of the default log, from the lowest offset on. */
export function valuesIn(log: SegmentedLog): readonly string[] {
  const { lowest } = log.bounds;
  const found: string[] = [];
  for (let at = log.firstIndex; at <= log.commitIndex; ) {
    const frames = log.entries(at, chunkBytes, log.commitIndex);
    for (const frame of frames) if (frameLogId(frame, 0) === 0) found.push(...valuesOf(frame, lowest)[0]);
    at += frames.length;
  }
  return found;
}

/** Returns the values of the named logs that are not deleted, from their lowest offsets on. */
export function namedValuesIn(
  log: SegmentedLog,
): ReadonlyMap<LogId, { readonly lowest: Offset; readonly values: readonly string[] }> {
  const found = new Map<LogId, { readonly lowest: Offset; readonly values: readonly string[] }>();
  for (const { id, lowest, next, deleted, cursor } of log.state.logs.rows()) {
    // What its forks show of it is found in them.
    if (deleted === true || cursor !== undefined) continue;
    const values: string[] = [];
    const view = log.view(id);
    while (lowest + values.length < next) {
      const at = lowest + values.length;
      values.push(...valuesOf(view.take(at, 1000)!.frames, at)[0]);
    }
    found.set(id, { lowest, values });
  }
  return found;
}

/** Returns the cursors of all logs, also of deleted ones. */
export function cursorsIn(log: SegmentedLog): ReadonlyMap<string, SeenCursor> {
  const found = new Map<string, SeenCursor>();
  for (const row of log.state.logs.rows()) {
    if (!isCursorRow(row)) continue;
    const { log: id, offset, metadata = "" } = row.cursor;
    found.set(keyOf({ log: id, cursor: cursorNameIn(row) }), { version: row.version, offset, metadata });
  }
  return found;
}

/** A settled frame has no values any more, but their offset. Another server has shown them before. */
export function recordsOf(frame: Uint8Array): ReturnType<typeof valuesOf> {
  return frameKind(frame, 0) === batchKind.settled ? [[], frameBaseOffset(frame, 0)] : valuesOf(frame);
}

/** Returns the values of one or more consecutive frames, and the offset of the first value. */
export function valuesOf(frames: Uint8Array, from = 0): [values: string[], offset: number | undefined] {
  const cursor = new RecordCursor(frames, from);
  const values: string[] = [];
  let offset: number | undefined;
  while (cursor.next()) {
    offset ??= cursor.offset;
    values.push(valueAt(cursor));
  }
  return [values, offset];
}

/** Decodes a record of one short value: tag, length, value. */
function valueAt({ frames, start, end }: RecordCursor): string {
  return end - start < 2 ? "" : Buffer.from(frames.subarray(start + 2, end)).toString("utf8");
}
