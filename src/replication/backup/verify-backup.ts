/**
 * Verifies a backup: every frame of every file that its snapshot lists, along the chain. Reads only, and continues with
 * the next file after a finding.
 */
import { Fault } from "../../fault.ts";
import {
  batchKind,
  type ChainEnd,
  type Finding,
  frameBaseOffset,
  frameCommand,
  frameKind,
  frameLogId,
  framePreviousCrc,
  frameRecordCount,
  headerBytes,
  heldIn,
  type LogStart,
  LogState,
  type ScratchRows,
  SettledCheck,
  scanStore,
  unknownOffset,
} from "../../log/mod.ts";
import type { Bounds } from "../../types.ts";
import { decodeChange } from "../storage/entries.ts";
import { type BackupSource, baseSourceOf, checkBackupBase } from "./backup.ts";
import type { BackupFile, BackupSnapshot } from "./backup-manifest.ts";

export interface BackupReport extends Bounds {
  readonly records: number;
  /** Named logs at the end; undefined after damage. */
  readonly namedLogs: number | undefined;
  /** Bytes of valid frames. */
  readonly bytes: number;
  readonly findings: readonly Finding[];
}

/** `scratch`: a place for rows that do not fit into memory. The caller removes it. Without it all rows are in memory. */
export async function verifyBackup(
  snapshot: BackupSnapshot,
  source: BackupSource,
  scratch?: ScratchRows,
): Promise<BackupReport> {
  const findings: Finding[] = [];
  if (snapshot.base !== undefined) await source.prepare?.(snapshot.base.file);
  const start = startWithRows(snapshot, source, findings);
  const held = heldIn(scratch);
  held.take(start ?? snapshot.start);
  const state = LogState.from(snapshot.start.checkpoint, held.rows);
  let end: ChainEnd | undefined = snapshot.start.end;
  /** The state up to `end`; undefined after damage. */
  let folded: LogState | undefined = start === undefined ? undefined : state;
  const settled = new SettledCheck();
  let next = end.nextOffset;
  let bytes = 0;
  for (const listed of snapshot.files) {
    const { file } = listed;
    await source.prepare?.(file);
    const size = source.size(file);
    if (size === undefined) {
      findings.push({ file, position: 0, kind: "missing" });
      end = folded = undefined;
      continue;
    }
    if (size !== listed.bytes)
      findings.push({ file, position: Math.min(size, listed.bytes), kind: "length" });
    const scan = scanFile(listed, source, end, folded, settled);
    source.release?.(file);
    bytes += scan.position;
    if (scan.flaw !== undefined) findings.push({ file, position: scan.position, kind: scan.flaw });
    else if (scan.end.index !== listed.last) findings.push({ file, position: scan.position, kind: "index" });
    // Whole frames, but not those that the snapshot names.
    else if (scan.end.crc !== (listed.crc ?? scan.end.crc))
      findings.push({ file, position: 0, kind: "chain" });
    const whole =
      scan.flaw === undefined &&
      size === listed.bytes &&
      scan.end.index === listed.last &&
      scan.end.crc === (listed.crc ?? scan.end.crc);
    end = whole ? scan.end : undefined;
    folded = whole ? folded : undefined;
    folded?.commitTo(listed.last);
    if (folded !== undefined) held.keep({ index: listed.last, crc: scan.end.crc, head: folded.logs.head });
    if (scan.end.nextOffset !== unknownOffset) next = scan.end.nextOffset;
  }
  if (folded !== undefined)
    settled.report(folded, true, snapshot.index, (file, position, kind) =>
      findings.push({ file, position, kind }),
    );
  const lowest = Math.min(next, Math.max(state.lowest, snapshot.start.end.nextOffset));
  return { records: next - lowest, namedLogs: folded?.logs.size, bytes, lowest, next, findings };
}

/** The start with the rows in the base file. Undefined, and a finding, if it is damaged. */
function startWithRows(
  snapshot: BackupSnapshot,
  source: BackupSource,
  findings: Finding[],
): LogStart | undefined {
  const { start, base } = snapshot;
  const rows = baseSourceOf(snapshot, source);
  if (base === undefined || rows === undefined) return start;
  const { file, bytes } = base;
  const size = source.size(file);
  if (size === undefined || size !== bytes) {
    const kind = size === undefined ? "missing" : "length";
    findings.push({ file, position: Math.min(size ?? 0, bytes), kind });
    return undefined;
  }
  try {
    for (const _ of checkBackupBase(snapshot, rows));
    return { ...start, rows };
  } catch (reason) {
    if (!(reason instanceof Fault) || reason.kind !== "corrupt") throw reason;
    findings.push({
      file,
      position: Number(reason.facts.position ?? 0),
      kind: String(reason.facts.why ?? "rows"),
    });
    return undefined;
  }
}

/** Scans one file. `before` is undefined after damage: the chain then starts at what the file's first frame says. */
function scanFile(
  { file, first, bytes }: BackupFile,
  source: BackupSource,
  before: ChainEnd | undefined,
  state: LogState | undefined,
  settled: SettledCheck,
): ReturnType<typeof scanStore> {
  const reader = {
    read(target: Uint8Array, position: number): number {
      const found = source.read(file, position, target.length);
      target.set(found);
      return found.length;
    },
  };
  return scanStore(
    reader,
    bytes,
    before ?? startOf(source.read(file, 0, headerBytes), first),
    (frames, at, position) => {
      settled.see(frames, at, file, position);
      if (frameKind(frames, at) === batchKind.configuration) {
        try {
          decodeChange(frameCommand(frames, at));
        } catch {
          return "command";
        }
      }
      // After damage the state is incomplete. Only the trimmed offset is used, which can then be too low.
      return state?.stage(frames, at);
    },
  );
}

function startOf(head: Uint8Array, first: number): ChainEnd {
  const known = head.length >= headerBytes && frameRecordCount(head, 0) >= 0;
  return {
    index: first - 1,
    term: 0,
    nextOffset: known && frameLogId(head, 0) === 0 ? frameBaseOffset(head, 0) : unknownOffset,
    timestampMs: 0,
    crc: known ? framePreviousCrc(head, 0) : 0,
  };
}
