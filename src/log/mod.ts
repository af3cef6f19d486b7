/**
 * The log module: batches as frames in segments on disk, below Raft. FORMAT.md describes the bytes.
 */

export {
  AppendQueue,
  answer,
  type QueuedGroup,
  type QueueLimits,
} from "./append-queue.ts";
export type { ChainEnd } from "./frame/chain.ts";
export { chainStart, checkLink, endOfFrame, scanStore } from "./frame/chain.ts";
export * from "./frame/command.ts";
export * from "./frame/frame.ts";
export { checkPayload } from "./frame/payload.ts";
export * from "./frame/record.ts";
export { withHeader } from "./frame/record-header.ts";
export * from "./frame/record-walk.ts";
export { runBytesMax } from "./group-builder.ts";
export { emptyCheckpoint, LogState } from "./log-state.ts";
export { checkOffsetsLeft, initialOffsetMax } from "./offset-limit.ts";
export { keyOf, type ProducedBatch } from "./producers.ts";
export { outOfRange } from "./reader.ts";
export type { FrameGroup } from "./recent-frames.ts";
export { checkLogStart } from "./recovery/log-start.ts";
export { repairLog } from "./recovery/repair.ts";
export {
  compareLogs,
  type Finding,
  type LogPlace,
  type VerifyReport,
  verifyLog,
} from "./recovery/verify.ts";
export type { LogStart } from "./segment/catalog.ts";
export { checkCatalogFile } from "./segment/catalog-file.ts";
export { diskFault, isRefusal } from "./segment/disk-fault.ts";
export { defaultReserveBytes, Reserve } from "./segment/reserve.ts";
export { nextExpiryMs, retentionOffset } from "./segment/retention.ts";
export { type SyncMode, SyncPolicy, syncModeText } from "./segment/sync-policy.ts";
export { SegmentedLog, type SegmentedLogOptions } from "./segmented-log.ts";
export { LogTail } from "./tail.ts";
