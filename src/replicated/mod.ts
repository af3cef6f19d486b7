/**
 * The replicated room: Raft over the segmented log, and what goes between nodes. DESIGN.md says how it fits.
 *
 * Never: reads a flag; knows the public contract's messages.
 */
export {
  type BackupSnapshot,
  backupParts,
  readSnapshot,
  restoreFrames,
  snapshotFile,
} from "./backup.ts";
export { directoryText, peerOf } from "./entries.ts";
export { forceConfiguration } from "./force-configuration.ts";
export { noLeader } from "./leader-watch.ts";
export {
  type ForwardedCall,
  type ForwardedStart,
  type PeerHello,
  PeerNetwork,
  type PeerNetworkOptions,
  type PeerService,
} from "./peers.ts";
export { Replica, type ReplicaOptions } from "./replica.ts";
export {
  type Disowned,
  isCountedOn,
  isDisowned,
  laterTermChanges,
  StableState,
  strangerChanges,
} from "./stable-state.ts";
export { verifyBackup } from "./verify-backup.ts";
