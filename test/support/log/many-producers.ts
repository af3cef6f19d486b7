/** A log that is reset to a start with many producers, as a snapshot brings it. */
import { defaultSettings, encodeTrim } from "../../../src/log/frame/command.ts";
import {
  batchKind,
  emptyCheckpoint,
  encodeFrame,
  type LogStart,
  type SegmentedLog,
} from "../../../src/log/mod.ts";
import type { ProducerRow } from "../../../src/log/state/produced-batch.ts";
import { run, type SimMachine, simDirectory } from "./logs.ts";

/** More than two producers are in a file. */
export const withManyProducers = { inlineProducersMax: 2 };

export function startAt(index: number, count = 6): LogStart {
  const producers = Array.from(
    { length: count },
    (_, n): ProducerRow => [`s${n}`, BigInt(n), 1, [[index - count + n, 0, 1, n, 1000]]],
  );
  const settings = { ...defaultSettings, segmentStoreBytesMax: 100_000 };
  return {
    end: { index, term: 2, nextOffset: index, timestampMs: 1000, crc: 7 },
    checkpoint: { ...emptyCheckpoint, index, lowest: index, settings, producers },
  };
}

/** The names of the files with the producers of a start. */
export const fileOfStart = ({ disk }: Pick<SimMachine, "disk">): string[] =>
  disk.list(`${simDirectory}/log`).filter((name) => name.endsWith(".start-producers"));

/** Appends a record of a new producer, durably. With `trims`, all records before it are trimmed. */
export function appendTo(
  log: SegmentedLog,
  { trims = false, bytes = 5, commits = true, produces = true } = {},
): void {
  const header = () => ({
    index: log.end.index + 1,
    term: 2,
    baseOffset: log.end.nextOffset,
    timestampMs: 1001,
    logId: 0,
  });
  if (trims) {
    const command = encodeTrim(log.end.nextOffset);
    log.stage(encodeFrame({ ...header(), recordCount: 0, kind: batchKind.trim }, command, log.end.crc));
  }
  const producer = produces
    ? { subject: "new", id: BigInt(log.end.index), epoch: 0, sequence: 0 }
    : undefined;
  const records = run("v".repeat(bytes)).bytes;
  log.stage(
    encodeFrame({ ...header(), recordCount: 1, kind: batchKind.data }, records, log.end.crc, producer),
  );
  log.flushNow();
  if (commits) log.commitTo(log.durableIndex);
}
