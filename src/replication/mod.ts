/** The replication module: Raft over the segmented log. See DESIGN.md. */
export { type BackupPart, type BackupSource, backupParts } from "./backup/backup.ts";
export {
  type BackupFile,
  type BackupOutline,
  type BackupSnapshot,
  backupFiles,
  checkSuccessor,
  readSnapshot,
  snapshotFile,
  unpackOutline,
  unpackSnapshot,
} from "./backup/backup-manifest.ts";
export { type ChainPoint, chainPointOf } from "./backup/chain-point.ts";
export { restoreFrames } from "./backup/restore-frames.ts";
export { type BackupReport, verifyBackup } from "./backup/verify-backup.ts";
export { forceConfiguration } from "./force-configuration.ts";
export type { Forwarder } from "./forwarder.ts";
export {
  type BootClaim,
  type BootNumber,
  type ClaimFlaw,
  claimOf,
  flawOf,
  isCount,
  isSameBoot,
  noPosition,
  type Position,
  type SeenBoot,
  seenOf,
} from "./identity/boot.ts";
export type { BootRecords } from "./identity/boot-records.ts";
export { directoryText, peerIdOf } from "./identity/node-identity.ts";
export { noLeaderMessage } from "./leader-watch.ts";
export { logsMost } from "./logs/log-quotas.ts";
export { oldMembers } from "./logs/log-refusals.ts";
export { CursorLags } from "./logs/metrics/cursor-lags.ts";
export { observeLogs } from "./logs/metrics/observe-logs.ts";
export { Replica } from "./replica.ts";
export type { ReplicaOptions } from "./replica-options.ts";
export { unpackStart } from "./snapshot/packed-start.ts";
export { isConfiguration, isWhole } from "./storage/configuration-check.ts";
export { entryOf } from "./storage/entries.ts";
export { isAllowedMsgpack, pack, unpackChecked } from "./storage/msgpack.ts";
export type { RowsRange, RowsTransfer } from "./storage/rows-transfer.ts";
export {
  checkRestored,
  type Disowned,
  isCountedOn,
  isDisowned,
  newIdentityChanges,
  newLifeChanges,
  StableState,
  unfinishedRestore,
} from "./storage/stable-state.ts";
export { type ClockReading, LogTime } from "./time/log-time.ts";
export type { PeerClocks } from "./time/peer-clocks.ts";
