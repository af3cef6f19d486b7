/** Frames of named logs without a chain, for tests of what they do to rows. */
import { type BatchKind, batchKind, encodeFrame, encodeLogCommand } from "../../../src/log/mod.ts";
import type { LogId, NamedLogSettings, Offset, ProducerStamp, RaftIndex } from "../../../src/types.ts";
import { run } from "../../support/log/logs.ts";

interface FrameOptions {
  readonly kind: BatchKind;
  readonly id: LogId;
  readonly index: RaftIndex;
  readonly base?: Offset;
  readonly records?: number;
  readonly command?: Uint8Array;
  readonly producer?: ProducerStamp;
}

export function namedFrame({
  kind,
  id,
  index,
  base = 0,
  records = 0,
  command,
  producer,
}: FrameOptions): Uint8Array {
  const values = Array.from({ length: records }, (_, n) => `${id}/${base + n}`);
  const payload = command ?? (records === 0 ? new Uint8Array(0) : run(...values).bytes);
  const header = {
    index,
    term: 1,
    baseOffset: base,
    timestampMs: 1000 + index,
    recordCount: records,
    kind,
    logId: id,
  };
  return encodeFrame(header, payload, 0, producer);
}

export const createFrame = (
  id: LogId,
  index: RaftIndex,
  name: string,
  settings: NamedLogSettings = {},
): Uint8Array =>
  namedFrame({
    kind: batchKind.createLog,
    id,
    index,
    command: Buffer.from(encodeLogCommand({ name, settings })),
  });

export const dataFrame = (id: LogId, index: RaftIndex, base: Offset, records = 1): Uint8Array =>
  namedFrame({ kind: batchKind.data, id, index, base, records });

export const deleteFrame = (id: LogId, index: RaftIndex, base: Offset): Uint8Array =>
  namedFrame({ kind: batchKind.deleteLog, id, index, base });

export const closeFrame = (id: LogId, index: RaftIndex, base: Offset): Uint8Array =>
  namedFrame({ kind: batchKind.closeLog, id, index, base });

export const trimFrame = (
  id: LogId,
  index: RaftIndex,
  base: Offset,
  from: Offset,
  to: Offset,
  bytes = 0,
): Uint8Array =>
  namedFrame({ kind: batchKind.trimLog, id, index, base, command: encodeLogCommand({ from, to, bytes }) });
