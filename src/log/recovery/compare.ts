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
  /** One hash per directory; none if there are findings. */
  readonly hashes: readonly string[];
  readonly findings: readonly (Finding & { readonly directory: string })[];
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
  return { from, to, hashes, findings };
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
  verifyLog(place, (bytes, at) => {
    if (frameKind(bytes, at) !== batchKind.data) return;
    const id = frameLogId(bytes, at);
    const extent = id === 0 ? ofDefault : named.get(id);
    if (extent === undefined) return;
    const cursor = new RecordCursor(bytes.subarray(at, at + frameBytes(bytes, at)), extent.from);
    const log = id === 0 ? "" : `${id}/`;
    while (cursor.next() && cursor.offset < extent.to) {
      hash.update(
        `${log}${cursor.offset} ${cursor.term} ${cursor.timestampMs} ${cursor.end - cursor.start} `,
      );
      hash.update(cursor.frames.subarray(cursor.start, cursor.end));
    }
  });
  return hash.digest("hex");
}
