/**
 * ProduceStream: one record a message, many under way, acknowledged in order. For the lowest latency on one
 * connection; a producer (producer.ts) moves more, since it batches, and repeats what can be repeated.
 *
 * Never: repeats, holds more than its window.
 */
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import { Log, type ProduceRequest, ProduceRequestSchema } from "../../gen/log/v1/log_pb.js";
import type { Appended } from "../../types.ts";
import { anySignal, canceled, reasonOf } from "../calls/abortable-wait.ts";
import { faultOf } from "../calls/fault-of.ts";
import type { RetryingCaller } from "../calls/retrying-caller.ts";
import { numberOf } from "../messages.ts";
import { optionsOf, signalOf } from "../options.ts";
import { encodeRun } from "../record-codec.ts";
import type { BytesLike, NewRecord } from "./new-record.ts";

export interface ProduceStreamOptions {
  readonly signal?: AbortSignal;
  /** Records under way, default 1024. */
  readonly window?: number;
}

/**
 * Appends each record as it comes; yields what became of it, in order. Throws the Fault of the first that failed, with
 * the fact `acked`: that many were appended; of those sent behind it nothing is known, so it says unknown when any was.
 */
export async function* produceStream(
  caller: RetryingCaller,
  records: Iterable<NewRecord | BytesLike> | AsyncIterable<NewRecord | BytesLike>,
  given: ProduceStreamOptions = {},
): AsyncGenerator<Appended, void, undefined> {
  const options = optionsOf<ProduceStreamOptions>(given);
  const { window = 1024 } = options;
  const own = signalOf(options.signal);
  if (!(Number.isInteger(window) && window > 0)) {
    throw new Fault("bad-request", {
      message: `window must be a whole number above 0, not ${String(window)}`,
    });
  }
  const cut = new AbortController();
  const signal = anySignal(cut.signal, caller.closing, own);
  let sent = 0;
  let acked = 0;
  let wake: (() => void) | undefined;
  /** What the caller's own iterable threw, or a record of it that is not one. */
  let badInput: { readonly reason: unknown } | undefined;
  const requests = async function* (): AsyncGenerator<ProduceRequest> {
    try {
      for await (const record of records) {
        while (sent - acked >= window && !cut.signal.aborted)
          await new Promise<void>((resolve) => (wake = resolve));
        if (cut.signal.aborted) return;
        const request = requestOf(record);
        sent++;
        yield request;
      }
    } catch (reason) {
      badInput = { reason };
      throw reason;
    }
  };
  try {
    await caller.resolver.ensureKnown().catch(() => undefined); // without it the first seed will do: nodes forward
    const transport = caller.transportTo(caller.picker.leader ?? caller.picker.addresses[0]!);
    const answers = createClient(Log, transport).produceStream(
      requests(),
      signal === undefined ? {} : { signal },
    );
    for await (const { offset, timestampMs, duplicate } of answers) {
      acked++;
      wake?.();
      yield { firstOffset: numberOf(offset), count: 1, timestampMs: numberOf(timestampMs), duplicate };
    }
  } catch (reason) {
    const aborted = own?.aborted === true ? canceled(own) : undefined;
    if (badInput !== undefined && !(badInput.reason instanceof Fault) && sent === acked)
      throw badInput.reason;
    const fault = aborted ?? faultOf(badInput?.reason ?? reason);
    caller.resolver.markStale();
    const { kind, message, facts } = fault;
    // What the caller caused says nothing about the records under way; an answer of a node is about the first of them.
    const isCertain =
      sent === acked || (sent - acked === 1 && badInput === undefined && aborted === undefined);
    const written = isCertain ? fault.written : "unknown";
    if (written === "no" && aborted !== undefined) throw reasonOf(aborted, own);
    throw new Fault(kind, { message, facts: { ...facts, acked }, written, cause: fault });
  } finally {
    cut.abort();
    wake?.();
  }
}

/** The element of a run of one is the field `record`, tag and all. */
function requestOf(record: NewRecord | BytesLike): ProduceRequest {
  const request = create(ProduceRequestSchema);
  request.$unknown = [{ no: 1, wireType: 2, data: encodeRun([record]).bytes.subarray(1) }];
  return request;
}
