/**
 * Folds the frames of the first segments onto the base, before these segments are removed. Works in steps, so that other work
 * can run in between. Memory is bounded by the logs that the segments name.
 */
import type { RowChange } from "../../rows/mod.ts";
import type { LogId, RaftIndex } from "../../types.ts";
import { type ChainFlaw, scanSteps } from "../frame/chain.ts";
import { batchKind, frameKind, frameLogId } from "../frame/frame.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";
import { type LogRow, rowAfter } from "../state/log-row.ts";
import { decodeRow, encodeRow } from "../state/row-codec.ts";
import { type BasePlace, openBaseAt } from "./base-files.ts";

/** The rows that changed; undefined: deleted, or never there. */
type FoldedRows = ReadonlyMap<LogId, LogRow | undefined>;

const stepBytes = 16 * 1024;

/**
 * Returns the rows that frames of the segments are about, as they are after them. `from` is the index of the base file; 0 if there is none.
 * The base is read only for logs that were created before the segments, and the segments are read again only for these.
 * @throws Fault "corrupt", and what reading the files throws
 */
export function* foldBase(
  place: BasePlace,
  from: RaftIndex,
  segments: readonly SealedSegment[],
): Generator<void, FoldedRows> {
  const rows = new Map<LogId, LogRow | undefined>();
  const older = new Set<LogId>();
  yield* fold(rows, segments, (id, bytes, at) => {
    if (rows.has(id) || frameKind(bytes, at) === batchKind.createLog) return true;
    older.add(id);
    return false;
  });
  if (older.size === 0) return rows;
  if (from !== 0) yield* readRows(place, from, older, rows);
  yield* fold(rows, segments, (id) => older.has(id));
  return rows;
}

/** Folds the frames about named logs that are `wanted`. */
function* fold(
  rows: Map<LogId, LogRow | undefined>,
  segments: readonly SealedSegment[],
  wanted: (id: LogId, bytes: Uint8Array, at: number) => boolean,
): Generator<void, void> {
  for (const segment of segments) {
    yield* scanSegment(segment, (bytes, at) => {
      const id = frameLogId(bytes, at);
      if (id === 0 || !wanted(id, bytes, at)) return undefined;
      const after = rowAfter(rows.get(id), bytes, at);
      if (typeof after === "string") return after;
      rows.set(id, after);
      return undefined;
    });
  }
}

/** The changes of a base, by id. */
export function* changesOf(rows: FoldedRows): Generator<RowChange> {
  for (const id of Uint32Array.from(rows.keys()).sort()) {
    const row = rows.get(id);
    yield { id, row: row === undefined ? undefined : encodeRow(row) };
  }
}

/** Adds the rows of the base that have these ids. */
function* readRows(
  place: BasePlace,
  index: RaftIndex,
  ids: ReadonlySet<LogId>,
  into: Map<LogId, LogRow | undefined>,
): Generator<void, void> {
  const base = openBaseAt(place, index);
  try {
    for (const id of Uint32Array.from(ids).sort()) {
      const row = base.row(id);
      if (row !== undefined) into.set(id, decodeRow(row));
      yield;
    }
  } finally {
    base.close();
  }
}

/** Visits the frames of a segment in steps. @throws Fault "corrupt", and what reading the file throws */
export function* scanSegment(
  segment: SealedSegment,
  visit: (bytes: Uint8Array, at: number) => ChainFlaw | undefined,
): Generator<void, void> {
  const store = segment.openStore();
  try {
    const steps = scanSteps(store, store.bytes, store.meta.before, visit, stepBytes);
    for (;;) {
      const step = steps.next();
      if (step.done !== true) {
        yield;
        continue;
      }
      const { flaw, position } = step.value;
      if (flaw !== undefined || position !== store.bytes) throw segment.damaged(position, flaw ?? "length");
      return;
    }
  } finally {
    store.close();
  }
}
