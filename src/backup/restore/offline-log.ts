/** Opens the log of a data directory for a command while no node uses it. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { lockDirectory } from "../../lib/disk/directory-lock.ts";
import { heapMapper } from "../../lib/disk/mapped-file.ts";
import { systemDisk } from "../../lib/disk/system-disk.ts";
import { checkCatalogFile, SegmentedLog } from "../../log/mod.ts";
import { openRowStore } from "../../rows/mod.ts";
import type { StableStore } from "../../store/mod.ts";
import { openStableStore } from "../../store/mod.ts";

export interface OfflineLog extends AsyncDisposable {
  readonly log: SegmentedLog;
  readonly store: StableStore;
}

/**
 * Locks and opens the log. The directory and its `meta` must exist. `begin` is called with the stable store before the log is
 * opened, and created in an empty directory.
 * @throws Fault "locked" if a node uses it, what `begin` throws, and the faults of opening a log
 */
export async function openOffline(
  directory: string,
  begin: (store: StableStore) => void,
): Promise<OfflineLog> {
  checkCatalogFile(systemDisk, directory);
  await using stack = new AsyncDisposableStack();
  stack.use(await lockDirectory(directory));
  const store = openStableStore(join(directory, "meta"));
  stack.defer(() => store.close());
  begin(store);
  const log = SegmentedLog.open({
    directory,
    disk: systemDisk,
    store,
    rowStore: openRowStore(join(directory, "meta")),
    mapper: heapMapper(systemDisk),
    newDirectoryId: randomBytes(16),
  });
  stack.defer(async () => {
    log.close();
    await log.rows.settled();
  });
  const owned = stack.move();
  return { log, store, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
