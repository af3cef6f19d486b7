/**
 * The replicated room: Raft over the segmented log, and what goes between nodes. DESIGN.md says how it fits.
 *
 * Never: reads a flag; knows the public contract's messages.
 */
export {
  type BackupFile,
  type BackupSnapshot,
  backupParts,
  readSnapshot,
  restoreFrames,
  snapshotFile,
} from "./backup.ts";
export { directoryText, type NodeIdentity, peerOf } from "./entries.ts";
export { type Forced, forceConfiguration } from "./force-configuration.ts";
export { noLeader } from "./leader-watch.ts";
export { LogTime } from "./log-time.ts";
export {
  type ForwardedCall,
  type ForwardedCaller,
  type ForwardedStart,
  type PeerHello,
  type PeerLimits,
  PeerNetwork,
  type PeerNetworkOptions,
  type PeerService,
  type PeerStatus,
} from "./peers.ts";
export { Replica, type ReplicaOptions } from "./replica.ts";
export { type Forwarder, ReplicatedLog } from "./replicated-log.ts";
export {
  type Disowned,
  isCountedOn,
  isDisowned,
  laterTermChanges,
  StableState,
  strangerChanges,
} from "./stable-state.ts";
export { type BackupReport, verifyBackup } from "./verify-backup.ts";
