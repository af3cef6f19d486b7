/** Deletes backups beyond the number that is kept, and the files of backups that no kept one has. */
import type { Clock } from "../../lib/time/clock.ts";
import type { ObjectStore } from "../../objects/mod.ts";
import { type BackupOutline, backupFiles } from "../../replication/mod.ts";
import { isFileName, keyOfBackup, keyOfFile, newestFirst } from "./backup-keys.ts";
import { listBackups, listFiles, readOutline } from "./backup-store.ts";
import type { WriterLease } from "./writer-lease.ts";

export interface PruneOptions {
  readonly store: ObjectStore;
  readonly lease: Pick<WriterLease, "confirm" | "recent">;
  /** How many backups are kept. Undefined keeps all. */
  readonly keep: number | undefined;
  /** Backups of this writer. The list of the store can lack them. */
  readonly known: ReadonlyMap<string, BackupContents>;
  /** The contents of backups that were read before, by name. It is brought up to date. */
  readonly cache?: Map<string, BackupContents> | undefined;
  readonly clock: Clock;
}

/** What a backup consists of. A manifest has more. */
export type BackupContents = Pick<BackupOutline, "files" | "base">;

/**
 * Resolves to the number of objects that were deleted. A backup goes before its files, so after a crash the next call deletes
 * the rest.
 * @throws Fault "corrupt" or "unsupported-version" if a kept backup cannot be read: no file is deleted then
 */
export async function prune({
  store,
  lease,
  keep,
  known,
  cache = new Map(),
  clock,
}: PruneOptions): Promise<number> {
  const listed = (await listBackups(store)).map(({ name }) => name);
  const names = newestFirst([...listed, ...lease.recent, ...known.keys()]);
  const kept = new Set<string>();
  const needed = new Set<string>();
  const old: string[] = [];
  for (const name of names) {
    if (kept.size >= (keep ?? names.length)) {
      old.push(name);
      continue;
    }
    const cached = listed.includes(name) ? cache.get(name) : undefined;
    const found = known.get(name) ?? cached ?? (await readOutline(store, name, clock));
    // A list and the lock can name one that was deleted.
    if (found === undefined) continue;
    kept.add(name);
    cache.set(name, { files: found.files, base: found.base });
    for (const { file } of backupFiles(found)) needed.add(file);
  }
  for (const name of cache.keys()) if (!kept.has(name)) cache.delete(name);
  let deleted = 0;
  for (const name of old.reverse()) {
    if (!listed.includes(name) && (await store.size(keyOfBackup(name))) === undefined) continue;
    await store.delete(keyOfBackup(name), lease.confirm);
    deleted++;
  }
  for (const file of (await listFiles(store)).keys()) {
    if (needed.has(file) || !isFileName(file)) continue;
    await store.delete(keyOfFile(file), lease.confirm);
    deleted++;
  }
  return deleted;
}
