/**
 * Compares the records of several logs.
 */
import { createHash } from "node:crypto";
import { Fault } from "../../fault.ts";
import type { Bounds, LogId, Offset } from "../../types.ts";
import { batchKind, frameBytes, frameKind, frameLogId } from "../frame/frame.ts";
import { RecordCursor } from "../frame/record.ts";
import type { LogRow } from "../state/log-row.ts";
import { type Finding, type LogDirectory, verifyLog } from "./verify.ts";

export interface Comparison {
  /** The records that all logs hold: from … to−1. */
  readonly from: Offset;
  readonly to: Offset;
  /** One hash per directory, of the records of all logs; none if there are findings. */
  readonly hashes: readonly string[];
  /** The logs whose records differ. Empty if all hashes are equal. */
  readonly different: readonly NamedLogKey[];
  /** The named logs that some directories lack. A node that lags can lack a log. Their records are not compared. */
  readonly notEverywhere: readonly NamedLogKey[];
  readonly findings: readonly (Finding & { readonly directory: string })[];
}

/** A log; `default` has the id 0. */
export interface NamedLogKey {
  readonly id: LogId;
  readonly name: string;
}

/**
 * Compares logs over the records that all of them hold. Logs that are all empty and continue at the same offset are equal.
 * @throws Fault "failed-precondition" if sound logs have no record in common: then nothing can be compared
 */
export function compareLogs(directories: readonly LogDirectory[]): Comparison {
  const reports = directories.map((place) => ({ directory: place.directory, report: verifyLog(place) }));
  const findings = reports.flatMap(({ directory, report }) =>
    report.findings.map((finding) => ({ ...finding, directory })),
  );
  const from = Math.max(...reports.map(({ report }) => report.lowest));
  const to = Math.max(from, Math.min(...reports.map(({ report }) => report.next)));
  const equal = reports.every(({ report }) => report.lowest === from && report.next === to);
  if (from === to && !equal && findings.length === 0) {
    const extents = reports.map(({ directory, report }) => `${directory} ${extentOf(report)}`);
    throw new Fault("failed-precondition", {
      message: `nothing was compared, the logs have no record in common: ${extents.join(", ")}`,
    });
  }
  const named = commonLogs(reports.map(({ report }) => report.logs));
  const hashes =
    findings.length > 0 ? [] : directories.map((place) => hashRecords(place, { from, to }, named));
  const rows = new Map(reports.flatMap(({ report }) => report.logs.map((row) => [row.id, row] as const)));
  const keyOf = (id: LogId): NamedLogKey => ({ id, name: rows.get(id)?.name ?? "default" });
  const notEverywhere = [...rows.keys()].filter((id) => !named.has(id)).map(keyOf);
  const isEqual = new Set(hashes).size <= 1;
  const different = isEqual ? [] : differentLogs(directories, { from, to }, named).map(keyOf);
  return { from, to, hashes, different, notEverywhere, findings };
}

/** Which of these logs do not have the same records in all directories. */
function differentLogs(
  directories: readonly LogDirectory[],
  ofDefault: Extent,
  named: ReadonlyMap<LogId, Extent>,
): LogId[] {
  const hashesOf = (place: LogDirectory): Map<LogId, string> => {
    const hashes = new Map([0, ...named.keys()].map((id) => [id, createHash("sha256")] as const));
    seeRecords(place, ofDefault, named, (id, pieces) => {
      for (const piece of pieces) hashes.get(id)!.update(piece);
    });
    return new Map([...hashes].map(([id, hash]) => [id, hash.digest("hex")]));
  };
  const [first, ...others] = directories.map(hashesOf);
  return [...first!.keys()].filter((id) => others.some((other) => other.get(id) !== first!.get(id)));
}

const extentOf = ({ lowest, next }: Bounds): string =>
  lowest === next ? `is empty and continues at ${next}` : `holds ${lowest} to ${next - 1}`;

/** The records `from … to−1` of a log. */
interface Extent {
  readonly from: Offset;
  readonly to: Offset;
}

/** The named logs that all directories have, with the records that all of them hold. */
function commonLogs(directories: readonly (readonly LogRow[])[]): Map<LogId, Extent> {
  const common = new Map<LogId, Extent>();
  const tables = directories.map((rows) => new Map(rows.map((row) => [row.id, row])));
  for (const { id } of directories[0] ?? []) {
    const rows = tables.map((table) => table.get(id)).filter((row) => row !== undefined);
    if (rows.length < tables.length) continue;
    const from = Math.max(...rows.map(({ lowest }) => lowest));
    common.set(id, { from, to: Math.min(...rows.map(({ next }) => next)) });
  }
  return common;
}

/**
 * The SHA-256 of these records with their logs, offsets, terms and times. It is equal on nodes that hold the same logs,
 * whatever their segments are. The directory must have been verified.
 */
function hashRecords(place: LogDirectory, ofDefault: Extent, named: ReadonlyMap<LogId, Extent>): string {
  const hash = createHash("sha256");
  seeRecords(place, ofDefault, named, (_, pieces) => {
    for (const piece of pieces) hash.update(piece);
  });
  return hash.digest("hex");
}

/** Calls `see` with the log and the parts of each record that is compared. */
function seeRecords(
  place: LogDirectory,
  ofDefault: Extent,
  named: ReadonlyMap<LogId, Extent>,
  see: (id: LogId, pieces: readonly (string | Uint8Array)[]) => void,
): void {
  verifyLog(place, (bytes, at) => {
    if (frameKind(bytes, at) !== batchKind.data) return;
    const id = frameLogId(bytes, at);
    const extent = id === 0 ? ofDefault : named.get(id);
    if (extent === undefined) return;
    const cursor = new RecordCursor(bytes.subarray(at, at + frameBytes(bytes, at)), extent.from);
    const log = id === 0 ? "" : `${id}/`;
    while (cursor.next() && cursor.offset < extent.to) {
      const head = `${log}${cursor.offset} ${cursor.term} ${cursor.timestampMs} ${cursor.end - cursor.start} `;
      see(id, [head, cursor.frames.subarray(cursor.start, cursor.end)]);
    }
  });
}
