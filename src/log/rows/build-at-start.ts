/** Builds the database of rows for a start that the log will be reset to. */
import type { RowDatabase, RowsIdentity } from "../../rows/mod.ts";
import type { RaftIndex } from "../../types.ts";
import { encodeHead, type RowsAt } from "../state/row-codec.ts";
import { basePath } from "./base-files.ts";
import { type InSlices, writeOwners } from "./owner-usage.ts";
import type { RowPlace } from "./row-place.ts";

/**
 * Builds the database of this generation from the base file `base`, as of the start. Undefined without a store of rows. After a
 * failure it is closed, and the next attempt builds it again.
 * @throws Fault "corrupt", the error of the disk
 */
export async function buildAtStart(
  place: RowPlace,
  generation: number,
  base: RaftIndex,
  at: RowsAt,
  inSlices: InSlices,
): Promise<RowDatabase | undefined> {
  const identity: RowsIdentity = { directoryId: place.directoryId, generation };
  const database = await place.store?.build(identity, basePath(place, base));
  if (database === undefined) return undefined;
  try {
    await writeOwners(place, base, database, inSlices);
    // The base can be older than the start, with the same rows.
    await database.write([], encodeHead(at));
    return database;
  } catch (reason) {
    await database.close();
    throw reason;
  }
}
