/**
 * The life of a cluster: the first half of the ids of its named logs, `<life>-<number>`. It is drawn when the cluster gets its
 * first named log, and again whenever the log may lack creates that were committed: after a restore, recover --force-config,
 * and the repair of a cluster of one node. Numbers are then given again, and an id of the earlier life must not mean the new
 * log of that number.
 */
import { batchKind, encodeFrame, encodeLogCommand, type SegmentedLog } from "../../log/mod.ts";

const lifeMax = 0xffff_ffff;

/** Returns a life other than the one before. `random` returns a number from 0 up to but without 1. */
export function drawLife(random: () => number, before = 0): number {
  const drawn = 1 + Math.floor(random() * (lifeMax - 1));
  return drawn === before ? lifeMax : drawn;
}

/**
 * Appends the command that begins another life, if the log has named logs. Only for a log whose cluster is this node alone,
 * before its Raft node starts: then the end of the log is its own. Durable on return.
 */
export function beginLife(log: SegmentedLog, random: () => number): void {
  const { logs } = log.state;
  const { end } = log;
  if (logs.stagedLevel === 0) return;
  const header = {
    index: end.index + 1,
    term: end.term,
    baseOffset: end.nextOffset,
    timestampMs: end.timestampMs,
    recordCount: 0,
    kind: batchKind.level,
  };
  const command = encodeLogCommand({ level: logs.stagedLevel, life: drawLife(random, logs.stagedLife) });
  log.stage(encodeFrame(header, command, end.crc));
  log.flushNow();
}
