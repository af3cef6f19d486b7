/**
 * Checks that the catalog of a directory with segments exists, before anything is created in the directory.
 */
import { Fault } from "../../fault.ts";
import { type Disk, errorCode } from "../../lib/disk/disk.ts";
import { hasStore } from "../../store/mod.ts";
import { firstIndexOf } from "./segment-files.ts";

/** Fault "corrupt" for segments without their catalog. Its message says that nothing was changed. */
export function catalogGone(directory: string, segments: number): Fault {
  const repair = `tailrace repair ${directory}`;
  return new Fault("corrupt", {
    message: `${directory}/log holds ${segments} segments, but the catalog that belongs to them in ${directory}/meta is gone; nothing was changed. See what a repair would do: ${repair}`,
    facts: { file: `${directory}/meta`, position: 0, why: "no-catalog", repair },
  });
}

/**
 * Changes nothing.
 * @throws Fault "corrupt" for a data directory with segments and without a catalog
 */
export function checkCatalogFile(disk: Disk, directory: string): void {
  const segments = storesIn(disk, `${directory}/log`);
  if (segments > 0 && !hasStore(disk, `${directory}/meta`)) throw catalogGone(directory, segments);
}

function storesIn(disk: Disk, logDirectory: string): number {
  try {
    return disk.list(logDirectory).filter((name) => firstIndexOf(name, "store") !== undefined).length;
  } catch (reason) {
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(errorCode(reason))) return 0;
    throw reason;
  }
}
