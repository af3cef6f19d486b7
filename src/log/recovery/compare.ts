/**
 * Compares the records of several logs. What it keeps of a million named logs is some numbers of each.
 */
import { createHash, hash as hashOf } from "node:crypto";
import { Fault } from "../../fault.ts";
import type { Bounds, LogId, Offset } from "../../types.ts";
import { batchKind, frameBytes, frameKind, frameLogId } from "../frame/frame.ts";
import { RecordCursor } from "../frame/record.ts";
import { CommonLogs, type Extent, extentsOf, listedMax } from "./common-logs.ts";
import { type Finding, type LogDirectory, type VerifyReport, verifyLog } from "./verify.ts";

export interface Comparison {
  /** The records that all logs hold: from … to−1. */
  readonly from: Offset;
  readonly to: Offset;
  /** One hash per directory, of the records of all logs; none if there are findings. */
  readonly hashes: readonly string[];
  /** The logs whose records differ, at most 1,000. Empty if all hashes are equal. */
  readonly different: readonly NamedLogKey[];
  /**
   * The named logs that some directories lack, at most 1,000. A node that lags can lack a log. Their records are not compared.
   */
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
  const reports: VerifyReport[] = [];
  try {
    for (const place of directories) reports.push(verifyLog(place));
    return compareReports(directories, reports);
  } finally {
    for (const report of reports) report[Symbol.dispose]();
  }
}

function compareReports(directories: readonly LogDirectory[], reports: readonly VerifyReport[]): Comparison {
  const findings = reports.flatMap((report, at) =>
    report.findings.map((finding) => ({ ...finding, directory: directories[at]!.directory })),
  );
  const from = Math.max(...reports.map(({ lowest }) => lowest));
  const to = Math.max(from, Math.min(...reports.map(({ next }) => next)));
  const equal = reports.every(({ lowest, next }) => lowest === from && next === to);
  if (from === to && !equal && findings.length === 0) {
    const extents = reports.map((report, at) => `${directories[at]!.directory} ${extentOf(report)}`);
    throw new Fault("failed-precondition", {
      message: `nothing was compared, the logs have no record in common: ${extents.join(", ")}`,
    });
  }
  const common = new CommonLogs(
    { from, to },
    reports.map(({ logs }) => extentsOf(logs)),
  );
  // They were compared with their databases above.
  const places = directories.map(({ rowStore: _, ...place }) => place);
  const hashes = findings.length > 0 ? [] : places.map((place) => hashRecords(place, common));
  const keyOf = (id: LogId): NamedLogKey => {
    const row = reports.map(({ logs }) => logs.row(id)).find((found) => found !== undefined);
    return { id, name: row?.name ?? "default" };
  };
  const isEqual = new Set(hashes).size <= 1;
  const different = isEqual ? [] : differentLogs(places, common).map(keyOf);
  return { from, to, hashes, different, notEverywhere: common.notEverywhere.map(keyOf), findings };
}

const digestBytes = 16;

/** Which of these logs do not have the same records in all directories, the first ones. */
function differentLogs(directories: readonly LogDirectory[], common: CommonLogs): LogId[] {
  const [first, ...others] = directories.map((place) => digestsOf(place, common));
  const different: LogId[] = [];
  for (let at = 0; at < common.length && different.length < listedMax; at++) {
    const [begin, end] = [at * digestBytes, (at + 1) * digestBytes];
    const differs = (other: Uint8Array): boolean =>
      Buffer.compare(other.subarray(begin, end), first!.subarray(begin, end)) !== 0;
    if (others.some(differs)) different.push(common.idAt(at));
  }
  return different;
}

/** A digest of the records of each common log, one after another. */
function digestsOf(place: LogDirectory, common: CommonLogs): Uint8Array {
  const digests = new Uint8Array(common.length * digestBytes);
  seeRecords(place, common, (at, [head, record]) => {
    const digest = digests.subarray(at * digestBytes, (at + 1) * digestBytes);
    digest.set(
      hashOf("sha256", Buffer.concat([digest, Buffer.from(head), record]), "buffer").subarray(0, digestBytes),
    );
  });
  return digests;
}

const extentOf = ({ lowest, next }: Bounds): string =>
  lowest === next ? `is empty and continues at ${next}` : `holds ${lowest} to ${next - 1}`;

/**
 * The SHA-256 of these records with their logs, offsets, terms and times. It is equal on nodes that hold the same logs,
 * whatever their segments are. The directory must have been verified.
 */
function hashRecords(place: LogDirectory, common: CommonLogs): string {
  const hash = createHash("sha256");
  seeRecords(place, common, (_, [head, record]) => hash.update(head).update(record));
  return hash.digest("hex");
}

/** Calls `see` with the place of its log in `common` and the parts of each record that is compared. */
function seeRecords(
  place: LogDirectory,
  common: CommonLogs,
  see: (at: number, parts: readonly [head: string, record: Uint8Array]) => void,
): void {
  const seeFrame = (bytes: Uint8Array, at: number): void => {
    if (frameKind(bytes, at) !== batchKind.data) return;
    const id = frameLogId(bytes, at);
    const found = common.placeOf(id);
    if (found === undefined) return;
    const { from, to }: Extent = common.extentAt(found);
    const cursor = new RecordCursor(bytes.subarray(at, at + frameBytes(bytes, at)), from);
    const log = id === 0 ? "" : `${id}/`;
    while (cursor.next() && cursor.offset < to) {
      const head = `${log}${cursor.offset} ${cursor.term} ${cursor.timestampMs} ${cursor.end - cursor.start} `;
      see(found, [head, cursor.frames.subarray(cursor.start, cursor.end)]);
    }
  };
  verifyLog(place, seeFrame)[Symbol.dispose]();
}
