/** Deletes backups beyond the number that is kept, and the files that no kept backup has. */
import type { ObjectStore } from "../../objects/mod.ts";
import { type BackupOutline, backupFiles } from "../../replication/mod.ts";
import { keyOfBackup, keyOfFile, newestFirst } from "./backup-keys.ts";
import { listBackups, listFiles, readOutline } from "./backup-store.ts";
import type { WriterLease } from "./writer-lease.ts";

export interface PruneOptions {
  readonly store: ObjectStore;
  readonly lease: Pick<WriterLease, "confirm">;
  /** How many backups are kept. Undefined keeps all. */
  readonly keep: number | undefined;
  /** Backups of this writer. The list of the store can lack them. */
  readonly known: ReadonlyMap<string, BackupContents>;
  /** The contents of backups that were read before, by name. It is brought up to date. */
  readonly cache?: Map<string, BackupContents> | undefined;
}

/** What a backup consists of. A manifest has more. */
export type BackupContents = Pick<BackupOutline, "files" | "base">;

/**
 * Resolves to the number of objects that were deleted. A backup goes before its files, so after a crash the next call deletes
 * the rest.
 * @throws Fault "corrupt" or "unsupported-version" if a kept backup cannot be read: no file is deleted then
 */
export async function prune({ store, lease, keep, known, cache = new Map() }: PruneOptions): Promise<number> {
  const listed = (await listBackups(store)).map(({ name }) => name);
  const names = newestFirst([...listed, ...known.keys()]);
  const kept = names.slice(0, keep ?? names.length);
  const needed = new Set<string>();
  for (const name of kept) {
    const found = known.get(name) ?? cache.get(name) ?? (await readOutline(store, name));
    if (found === undefined) continue;
    cache.set(name, { files: found.files, base: found.base });
    for (const { file } of backupFiles(found)) needed.add(file);
  }
  for (const name of cache.keys()) if (!kept.includes(name)) cache.delete(name);
  let deleted = 0;
  for (const name of names.slice(kept.length).reverse()) {
    lease.confirm();
    await store.delete(keyOfBackup(name));
    deleted++;
  }
  for (const file of (await listFiles(store)).keys()) {
    if (needed.has(file)) continue;
    lease.confirm();
    await store.delete(keyOfFile(file));
    deleted++;
  }
  return deleted;
}
