/**
 * The manifest of a backup: the snapshot, which names the files of the backup. Untrusted input.
 *
 *   { format, clusterId, index, start, configuration, files, base }      msgpack
 *
 * A file is named by its indexes and by the value of the chain at its end, which depends on every byte up to there. So logs with
 * another history have files with other names. Up to format 6 the names were the indexes alone.
 */
import { Fault } from "../../fault.ts";
import { atOnce } from "../../lib/time/in-slices.ts";
import {
  checkLogStart,
  checkStartFields,
  cursorsLevel,
  forksLevel,
  type LogStart,
  type OpenedStart,
} from "../../log/mod.ts";
import type { ConfState } from "../../raft/mod.ts";
import { withProducers } from "../snapshot/packed-start.ts";
import { packWith, unpackWith } from "../snapshot/producer-list.ts";
import { isConfiguration, isWhole } from "../storage/configuration-check.ts";

/**
 * Format 7 is written, and format 8 from the level of forks on: so members of an earlier version read the backups of a cluster until
 * it has forks. In format 1 there are no named logs. In format 2, the start has their rows in its table, in format 3
 * as the bytes of a base file, from format 4 on they are in a file of the backup. Format 5 can hold batches of streams, format 6
 * settled frames. From format 7 on, each file has the value of the chain at its end, and its name has it too. Format 8 can hold forks, and
 * format 9, which is written from the level of cursors on, can hold cursors.
 */
const formats = { oldest: 1, rowsInFile: 4, chained: 7, forks: 8, cursors: 9 };
const formatOf = (level: number): number => {
  if (level >= cursorsLevel) return formats.cursors;
  return level < forksLevel ? formats.chained : formats.forks;
};
export const snapshotFile = "snapshot";

export interface BackupFile {
  readonly file: string;
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  /** The value of the chain after the last frame. Undefined before format 7. */
  readonly crc?: number | undefined;
}

export interface BackupSnapshot {
  readonly clusterId: string;
  /** The last index in the backup. */
  readonly index: number;
  readonly start: LogStart;
  /** The configuration of the cluster. It is not restored: a restored log does not belong to a cluster. */
  readonly configuration: ConfState;
  readonly files: readonly BackupFile[];
  /** Absent if there is no named log at the start, or if `start` has its rows. */
  readonly base?: BackupBase | undefined;
}

/** The file with the rows of the named logs at the start. */
export interface BackupBase {
  readonly file: string;
  readonly bytes: number;
  /** Of the whole file. */
  readonly crc: number;
}

/** All files that a snapshot names. */
export const backupFiles = ({
  files,
  base,
}: Pick<BackupSnapshot, "files" | "base">): readonly Pick<BackupFile, "file" | "bytes">[] =>
  base === undefined ? files : [base, ...files];

/**
 * Checks whether `next` may follow the backup `current` in the same place, before anything is written. The node that sent it has
 * compared the histories.
 * @throws Fault "failed-precondition" if it is of another cluster, ends earlier, or is of a node that compares no histories
 */
export function checkSuccessor(current: BackupOutline, next: BackupOutline, place: string): void {
  const advice = "nothing was changed; give another place";
  if (current.clusterId !== next.clusterId) {
    throw new Fault("failed-precondition", {
      message: `${place} contains a backup of cluster ${current.clusterId}, the node belongs to cluster ${next.clusterId || "none"}: ${advice}`,
    });
  }
  if (next.index < current.index) {
    throw new Fault("failed-precondition", {
      message: `${place} contains a backup up to index ${current.index}, the log of the node is committed up to ${next.index} only: ${advice}`,
    });
  }
  if (next.files.every(({ crc }) => crc !== undefined)) return;
  throw new Fault("failed-precondition", {
    message: `the node has an older version, which does not compare its history with the backup in ${place}: ${advice}, or upgrade the node`,
  });
}

const digits = (index: number): string => String(index).padStart(20, "0");
const hex = (crc: number): string => crc.toString(16).padStart(8, "0");
export const baseNameOf = (index: number, crc: number): string => `${digits(index)}-${hex(crc)}.rows`;
export const indexOfBase = ({ file }: Pick<BackupBase, "file">): number => Number(file.slice(0, 20));

type Listed = Omit<BackupFile, "file">;

const chainOf = (crc: number | undefined): string => (crc === undefined ? "" : `.${hex(crc)}`);
export const nameOf = ({ first, last, crc }: Listed): string =>
  `${digits(first)}-${digits(last)}${chainOf(crc)}.frames`;
export const settledNameOf = ({ first, last, bytes, crc }: Listed): string =>
  `${digits(first)}-${digits(last)}-${bytes}${chainOf(crc)}.frames`;

/** What the manifest says of a backup without the state at its start. */
export type BackupOutline = Omit<BackupSnapshot, "start"> & { readonly start: Pick<LogStart, "end"> };

const producersPath = ["start", "checkpoint", "producers"];

/**
 * Packs the manifest, in steps. Closes the producers. `level` is that of the cluster at the last index.
 * @throws Fault "corrupt", "disk-busy"
 */
export function packSnapshot({
  base,
  level,
  start: { end, checkpoint, producers },
  ...rest
}: Omit<BackupSnapshot, "start"> & { readonly start: OpenedStart; readonly level: number }): Generator<
  undefined,
  Uint8Array,
  undefined
> {
  const start = { end, checkpoint: { ...checkpoint, producers: [] } };
  const manifest = { format: formatOf(level), ...rest, start, ...(base === undefined ? {} : { base }) };
  return packWith(manifest, producersPath, producers);
}

/** Decodes the manifest of a backup at once. @throws as unpackSnapshot() */
export const readSnapshot = (bytes: Uint8Array): BackupSnapshot => atOnce(unpackSnapshot(bytes));

/** Decodes and checks the manifest in steps, and does not keep the state at the start. @throws as unpackSnapshot() */
export function* unpackOutline(bytes: Uint8Array): Generator<void, BackupOutline, undefined> {
  const { start, ...outline } = yield* unpackSnapshot(bytes, false);
  return { ...outline, start: { end: start.end } };
}

/**
 * Decodes the manifest of a backup, in steps. Without `keep`, many producers are checked and left out.
 * @throws Fault "unsupported-version" for another format; "corrupt" for a malformed manifest, for files that do not
 * follow one another from the start to the index, and for file names that do not match their indexes and chain
 */
export function* unpackSnapshot(bytes: Uint8Array, keep = true): Generator<void, BackupSnapshot, undefined> {
  const { value, producers } = yield* unpackWith(bytes, producersPath, keep);
  if (typeof value !== "object" || value === null) throw notWhole("it cannot be read");
  const found = value as { readonly [K in keyof BackupSnapshot | "format"]?: unknown };
  const { clusterId, index, configuration, format } = found;
  if (!isWhole(format) || format < formats.oldest || format > formats.cursors) {
    throw new Fault("unsupported-version", {
      message: `the backup has format ${String(format)}, this program reads ${formats.oldest} to ${formats.cursors}`,
    });
  }
  if (typeof clusterId !== "string" || !isWhole(index)) throw notWhole("index");
  if (!isConfiguration(configuration)) throw notWhole("configuration");
  const isElsewhere = format >= formats.rowsInFile;
  const rest = isElsewhere ? checkStartFields(found.start, true) : checkLogStart(found.start);
  const start = producers === undefined ? rest : withProducers(rest, producers);
  const files = yield* checkFiles(found.files, { before: start.end.index, last: index, format });
  const base = isElsewhere ? checkBase(found.base, start) : undefined;
  return { clusterId, index, start, configuration, files, base };
}

/** There is a base file exactly if there are named logs at the start. */
function checkBase(value: unknown, { end, checkpoint }: LogStart): BackupBase | undefined {
  const isThere = value !== undefined && value !== null;
  if (isThere !== (checkpoint.logs?.size ?? 0) > 0) throw notWhole("base");
  if (!isThere) return undefined;
  const listed = (typeof value === "object" ? value : {}) as Partial<BackupBase>;
  const found = { file: listed.file, bytes: listed.bytes, crc: listed.crc };
  if (typeof found.file !== "string" || !isWhole(found.bytes) || !isChecksum(found.crc))
    throw notWhole("base");
  const index = indexOfBase({ file: found.file });
  if (!(index <= end.index) || found.file !== baseNameOf(index, found.crc))
    throw notWhole(`it names the file ${found.file}`);
  return { file: found.file, bytes: found.bytes, crc: found.crc };
}

const isChecksum = (value: unknown): value is number => isWhole(value) && value <= 0xffff_ffff;

/** Files that are checked in one step: less than 2 ms. */
const stepFiles = 256;

/** Validates the list of files, in steps. They must follow one another from the index after `before` to `last`. */
function* checkFiles(
  files: unknown,
  { before, last, format }: { readonly before: number; readonly last: number; readonly format: number },
): Generator<void, BackupFile[], undefined> {
  if (!Array.isArray(files)) throw notWhole("files");
  let end = before;
  const checked: BackupFile[] = [];
  for (const one of files as readonly unknown[]) {
    const listed = (typeof one === "object" ? one : undefined) as Partial<BackupFile> | null | undefined;
    const found = { first: listed?.first, last: listed?.last, bytes: listed?.bytes };
    if (!isWhole(found.first) || !isWhole(found.last) || !isWhole(found.bytes)) throw notWhole("files");
    const crc = format < formats.chained ? undefined : listed?.crc;
    if (format >= formats.chained && !isChecksum(crc)) throw notWhole("files");
    const { first, last: to, bytes } = found;
    if (bytes === 0) throw notWhole(`the file of index ${first} has no bytes`);
    const fields = { first, last: to, bytes, crc };
    const file = listed?.file;
    if (file === undefined || (file !== nameOf(fields) && file !== settledNameOf(fields)))
      throw notWhole(`it names the file ${String(listed?.file)}`);
    if (first !== end + 1 || to < first) throw notWhole("files do not follow one another");
    end = to;
    checked.push({ file, ...fields });
    if (checked.length % stepFiles === 0) yield;
  }
  if (end !== last) throw notWhole(`its files end at index ${end}, it says ${last}`);
  return checked;
}

const notWhole = (why: string): Fault =>
  new Fault("corrupt", { message: `the snapshot of the backup is not whole, ${why}`, facts: { why } });
