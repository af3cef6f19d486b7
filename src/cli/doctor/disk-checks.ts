/** The checks of a data directory: whether a node can use it, its file system, its space, and how long a sync takes. */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  openSync,
  readdirSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { checkDirectory } from "../../agent/data-directory.ts";
import { Fault } from "../../fault.ts";
import { errorText } from "../../lib/disk/disk.ts";
import { systemClock } from "../../lib/time/clock.ts";
import { defaultReserveBytes } from "../../log/mod.ts";
import { bytesText } from "../output/table.ts";
import { type Check, ok, problem, skipped, warning } from "./check.ts";

/** Checks the directory, or where it would be created. Nothing in it is changed. */
export function diskChecks(directory: string): readonly Check[] {
  const path = resolve(directory);
  const usable = directoryCheck(path);
  const place = existingParent(path);
  if (usable.grade === "problem" || !existsSync(place)) return [usable];
  return [usable, ...spaceChecks(place, place === path ? reserveIn(path) : 0), syncCheck(place)];
}

function directoryCheck(path: string): Check {
  const name = "directory";
  try {
    checkDirectory(path);
  } catch (reason) {
    const { message } = Fault.from(reason);
    return problem(name, message, "choose another directory with --data-dir, or change its owner or rights");
  }
  if (!existsSync(path)) return ok(name, `${path} is not there yet, a node can create it`);
  const names = readdirSync(path);
  if (names.includes("log"))
    return ok(name, `${path} holds a log (tailrace verify checks it while no node runs)`);
  return ok(name, `${path} can be used`);
}

/** The path itself, or the nearest one above it that exists. */
const existingParent = (path: string): string =>
  existsSync(path) || dirname(path) === path ? path : existingParent(dirname(path));

/** File systems that a log should not be on, by the number of statfs(2). */
const unsuited: ReadonlyMap<number, string> = new Map([
  [0x01021994, "is in memory (tmpfs): a restart of the machine loses the log"],
  [0x858458f6, "is in memory (ramfs): a restart of the machine loses the log"],
  [0x6969, "is on a network (NFS): locks and syncs depend on the server"],
  [0xff534d42, "is on a network (CIFS): locks and syncs depend on the server"],
  [0xfe534d42, "is on a network (SMB): locks and syncs depend on the server"],
  [0x01021997, "is shared by a host (9p): syncs depend on the host"],
  [0x794c7630, "is the layer of a container (overlay): the log is lost with the container"],
]);

const MiB = 2 ** 20;
const freeAdvised = 1024 * MiB;
/** With less, the disk is as good as full. */
const freeLeast = MiB;
const segmentBytes = 64 * MiB;

/** The bytes of a data directory's reserve. A node on a full disk empties the file. */
function reserveIn(path: string): number {
  return statSync(join(path, "reserve"), { throwIfNoEntry: false })?.size ?? 0;
}

function spaceChecks(place: string, reserveBytes: number): readonly Check[] {
  try {
    const { type, bavail, blocks, bsize } = statfsSync(place);
    const space = { freeBytes: bavail * bsize, volumeBytes: blocks * bsize, reserveBytes };
    return [judgeFileSystem(place, type), judgeSpace(space)];
  } catch (reason) {
    return [skipped("space", `${place} cannot be examined: ${errorText(reason)}`)];
  }
}

export function judgeFileSystem(place: string, type: number): Check {
  const why = unsuited.get(type >>> 0);
  if (why === undefined) return ok("file-system", place);
  return warning(
    "file-system",
    `${place} ${why}`,
    "put the data directory on a local disk, in a container on a volume",
  );
}

export interface Space {
  readonly freeBytes: number;
  readonly volumeBytes: number;
  /** The reserve that is allocated already. */
  readonly reserveBytes: number;
}

export function judgeSpace({ freeBytes, volumeBytes, reserveBytes }: Space): Check {
  const beside = reserveBytes > 0 ? ` beside the reserve of ${bytesText(reserveBytes)}` : "";
  const found = `${bytesText(freeBytes)} free${beside}`;
  const todo = "free space, choose another disk, or limit the log with --retention-bytes";
  if (freeBytes < freeLeast) return problem("space", `${found}: a node has no room for records`, todo);
  const wanted = defaultReserveBytes(volumeBytes, segmentBytes);
  if (reserveBytes === 0 && freeBytes < wanted) {
    const why = `a node refuses records, because it keeps ${bytesText(wanted)} in reserve by default`;
    return problem("space", `${found}: ${why}`, `${todo}; or give the node a smaller --reserve-bytes`);
  }
  return freeBytes < freeAdvised ? warning("space", found, todo) : ok("space", found);
}

const syncsMost = 64;
const measureMs = 3_000;
const writtenBytes = 4096;

/** Appends 4 KiB and syncs, up to 64 times or 3 s. The file has no name while it is written. */
function syncCheck(place: string): Check {
  try {
    return judgeSyncs(measureSyncs(place));
  } catch (reason) {
    return skipped("disk-sync", `nothing can be written to ${place}: ${errorText(reason)}`);
  }
}

function measureSyncs(place: string): readonly number[] {
  const path = join(place, `.tailrace-doctor-${process.pid}`);
  const file = openSync(path, "wx", 0o600);
  try {
    unlinkSync(path);
    const bytes = Buffer.alloc(writtenBytes, 0x5a);
    const took: number[] = [];
    const endMs = systemClock.monotonicMs() + measureMs;
    for (let n = 0; n < syncsMost && systemClock.monotonicMs() < endMs; n++) {
      const beganMs = systemClock.monotonicMs();
      writeSync(file, bytes, 0, bytes.length, n * bytes.length);
      fdatasyncSync(file);
      took.push(systemClock.monotonicMs() - beganMs);
    }
    return took;
  } finally {
    closeSync(file);
  }
}

const msText = (ms: number): string => `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
/** A disk for a database syncs faster than this, in milliseconds. */
const medianMost = 20;
const worstMost = 500;

/** `took` has at least one measurement, in milliseconds. */
export function judgeSyncs(took: readonly number[]): Check {
  const sorted = [...took].sort((one, other) => one - other);
  const median = sorted[Math.floor(sorted.length / 2)]!;
  const worst = sorted.at(-1)!;
  const found = `fdatasync of ${writtenBytes} bytes takes ${msText(median)}, at most ${msText(worst)} (${sorted.length} times)`;
  if (median <= medianMost && worst <= worstMost) return ok("disk-sync", found);
  return warning(
    "disk-sync",
    `${found}; every acknowledged group of appends waits for one`,
    "use a local SSD without other load; --sync interval=1s is faster and can lose acknowledged records",
  );
}
