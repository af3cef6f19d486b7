/** The read RPCs on one node, each as one attempt of a call. */
import { createClient } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import { Log } from "../../gen/log/v1/log_pb.js";
import type { BatchSlice, Bounds, LogDescription, Offset, ReadStart } from "../../types.ts";
import type { Attempt } from "../calls/retrying-caller.ts";
import { rpcOptions } from "../calls/rpc-options.ts";
import type { LogIdentity, StatedLog } from "../logs/log-identity.ts";
import { type ConsumeInit, descriptionOf, numberOf, startInit } from "../messages.ts";
import { consumeBatches, frameOf } from "../raw-batches.ts";
import { type Crc32, checkBatch } from "./record-batch.ts";

/** Reads the first batch of `log` that contains `offset`. Returns undefined at the end of the log. */
export async function readBatch(
  { transport, signal, timeoutMs }: Attempt,
  offset: Offset,
  freshness: ConsumeInit,
  crc32: Crc32,
  log: Pick<LogIdentity, "number">,
): Promise<BatchSlice | undefined> {
  const done = new AbortController();
  const either = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal]);
  const request = { ...startInit({ offset }), ...freshness, maxRecords: 1n, stopAtEnd: true };
  const requests = async function* () {
    yield request;
  };
  try {
    const response = await transport.stream(consumeBatches, either, timeoutMs, undefined, requests());
    for await (const message of response.message) {
      const slice = checkBatch(frameOf(message), crc32, log.number);
      if (slice.nextOffset > offset && slice.firstOffset <= offset) return slice;
    }
    return undefined;
  } finally {
    done.abort();
  }
}

/** Returns the offset of the first record from `start` on. */
export async function firstOffsetFrom(
  attempt: Attempt,
  start: ReadStart,
  freshness: ConsumeInit,
): Promise<Offset> {
  const request = { ...startInit(start), ...freshness };
  const { record } = await createClient(Log, attempt.transport).consume(request, rpcOptions(attempt));
  if (record === undefined) throw new Fault("unimplemented", { message: "the response contains no record" });
  return numberOf(record.offset);
}

/** Returns the end of the log on this node, once the node is as fresh as requested. */
export async function endOffset(attempt: Attempt, freshness: ConsumeInit): Promise<Offset> {
  const request = { ...startInit({ end: true }), ...freshness, stopAtEnd: true, markers: true };
  const client = createClient(Log, attempt.transport);
  let end: Offset | undefined;
  for await (const response of client.consumeStream(request, rpcOptions(attempt))) {
    // The loop reads on to the end of the stream, which frees it.
    if (response.caughtUp) end = numberOf(response.endOffset);
  }
  if (end === undefined)
    throw new Fault("unimplemented", { message: "the node did not send the end offset" });
  return end;
}

/** Returns the offsets that this node has, however old its view is. */
export async function boundsOf(attempt: Attempt, log: StatedLog): Promise<Bounds> {
  const client = createClient(Log, attempt.transport);
  const { lowestOffset, nextOffset } = await client.describe(log, rpcOptions(attempt));
  return { lowest: numberOf(lowestOffset), next: numberOf(nextOffset) };
}

export async function describeLog(attempt: Attempt, log: StatedLog): Promise<LogDescription> {
  return descriptionOf(await createClient(Log, attempt.transport).describe(log, rpcOptions(attempt)));
}
