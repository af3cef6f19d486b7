/** What a leader checks about an append of the Durable Streams protocol: against the row, and the appends that are under way. */
import { Fault } from "../../fault.ts";
import {
  checkOrder,
  checkProducer,
  commandBytes,
  encodeStreamCommand,
  headBytes,
  type LogRow,
  type QueuedStream,
  type StreamCommand,
  streamAfter,
  streamCommandOf,
  streamsLevel,
} from "../../log/mod.ts";
import type { Appended, AppendOptions, ProducerStamp, RecordRun } from "../../types.ts";
import { logClosed, noSuchLog } from "./log-refusals.ts";

/** The command of an append; undefined if it is not one of a stream. @throws Fault "bad-request" without a named log */
export function queuedStreamOf({ log, stream, subject = "" }: AppendOptions): QueuedStream | undefined {
  if (stream === undefined) return undefined;
  if (log === undefined) throw new Fault("bad-request", { message: "a stream is a named log" });
  const command = streamCommandOf(stream, subject);
  return { command, encoded: encodeStreamCommand(command) };
}

/** Bytes of the records of an append with the head of their frame: what limits and quotas count. */
export const bytesOf = (
  { bytes }: Pick<RecordRun, "bytes">,
  producer: ProducerStamp | undefined,
  stream: QueuedStream | undefined,
): number => bytes.length + headBytes(producer) + commandBytes(stream?.encoded);

/** False for an append of a stream while a member of the cluster may be unable to read it. */
export const isPrepared = ({ stream }: AppendOptions, level: number): boolean =>
  stream === undefined || level >= streamsLevel;

/** The append, or the close, was done before. */
export interface RepeatedStream {
  /** The last sequence of its producer. */
  readonly sequence: number | undefined;
}

/** The result for its client. `row` is that of the log now. @throws Fault "not-found" if it was deleted since */
export function repeatedResult(
  row: LogRow | undefined,
  name: string,
  { sequence }: RepeatedStream,
): Appended {
  if (row === undefined) throw noSuchLog(name);
  const { id: logId, next: firstOffset, lastMs: timestampMs } = row;
  const appended = { firstOffset, count: 0, timestampMs, duplicate: true, logId };
  return sequence === undefined ? appended : { ...appended, sequence };
}

/**
 * Checks an append to a log; `command` is undefined if it is not one of a stream. A repeated one is recognized also if the log is
 * closed.
 * @throws Fault "failed-precondition" for a log that is closed, or will be by an append under way, and for Stream-Seq; the faults
 *   of checkProducer()
 */
export function checkStream(
  row: LogRow,
  waiting: readonly QueuedStream[],
  command: StreamCommand | undefined,
  count: number,
  nowMs: number,
): RepeatedStream | undefined {
  if (command === undefined && waiting.length === 0) return undefined;
  let state = row.stream;
  let { closed } = row;
  for (const { command: earlier } of waiting) {
    state = streamAfter(state, earlier, nowMs);
    closed ||= earlier.closes === true;
  }
  if (command?.producer !== undefined) {
    const sequence = checkProducer(state, command.producer, nowMs);
    if (sequence !== undefined) return { sequence };
  }
  if (closed && count === 0 && command?.producer === undefined) return { sequence: undefined };
  if (closed) throw logClosed(row.name);
  if (command?.order !== undefined) checkOrder(state, command.order);
  return undefined;
}
