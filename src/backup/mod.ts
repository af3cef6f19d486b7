/** Backups in a store of objects, and data directories that are made from backups. See README.md. */
export { chooseBackup, listBackups, newestBackup, readBackup } from "./bucket/backup-store.ts";
export { FetchedFiles } from "./bucket/fetched-files.ts";
export type { BackupContents } from "./bucket/prune.ts";
export { type ReadParts, type WrittenBackup, writeBackup } from "./bucket/write-backup.ts";
export {
  emptyUnfinished,
  isRestorable,
  restoreDirectory,
  restoringName,
} from "./restore/restore-directory.ts";
