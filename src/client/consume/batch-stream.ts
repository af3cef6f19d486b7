/** One ConsumeBatches stream from one node. */
import { Fault } from "../../fault.ts";
import type { BatchSlice, Offset } from "../../types.ts";
import type { Attempt } from "../calls/retrying-caller.ts";
import { type ConsumeInit, uint64Of } from "../messages.ts";
import { consumeBatches, frameOf } from "../raw-batches.ts";
import { readStream, type StreamOptions } from "./read-stream.ts";
import { type Crc32, checkBatch } from "./record-batch.ts";

export interface BatchStreamOptions extends StreamOptions {
  readonly crc32: Crc32;
  /** The number of the log that is read. */
  readonly logNumber: number | undefined;
  /** Handles one batch with a valid CRC. The stream is not read while the promise is pending. */
  readonly onBatch: (slice: BatchSlice) => Promise<void> | undefined;
}

/** The node ended the stream without a fault. */
export const streamEnded = new Fault("unavailable", { message: "the node ended the stream" });

/** Reads batches from `offset` on. Returns why the stream ended; undefined if it was idle for too long. */
export async function readBatchStream(
  offset: Offset,
  freshness: ConsumeInit,
  options: BatchStreamOptions,
): Promise<Fault | undefined> {
  const { caller, signal, avoid, crc32, logNumber, onBatch } = options;
  const request = { ...freshness, offset: uint64Of("offset", offset) };
  const open = async (attempt: Attempt) => {
    const { message } = await attempt.transport.stream(
      consumeBatches,
      attempt.signal,
      undefined,
      undefined,
      once(request),
    );
    caller.responded();
    return message;
  };
  const { why, addr } = await readStream(options, open, (message) =>
    onBatch(checkBatch(frameOf(message), crc32, logNumber)),
  );
  if (why !== "end") return why === "idle" ? undefined : why;
  if (addr !== undefined && !signal.aborted) caller.recordFault(addr, streamEnded, avoid);
  return streamEnded;
}

async function* once<T>(item: T): AsyncGenerator<T, void, undefined> {
  yield item;
}
