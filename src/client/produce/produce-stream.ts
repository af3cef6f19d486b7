/**
 * ProduceStream: one record per message, many in flight, acknowledged in order. It has the lowest latency on one
 * connection. It does not retry. A producer (producer.ts) has a higher throughput and retries.
 */
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import { Log, type ProduceRequest, ProduceRequestSchema } from "../../gen/log/v1/log_pb.js";
import type { Appended } from "../../types.ts";
import { anySignal, canceledFault, rejectionOf } from "../calls/abort-signals.ts";
import { faultOf } from "../calls/fault-of.ts";
import type { RetryingCaller } from "../calls/retrying-caller.ts";
import type { LogIdentity } from "../logs/log-identity.ts";
import { numberOf } from "../messages.ts";
import { optionsOf, signalOf } from "../options.ts";
import { encodeRun } from "../record-codec.ts";
import type { BytesLike, NewRecord } from "./new-record.ts";

export interface ProduceStreamOptions {
  /** Aborts the stream. Default: none. */
  readonly signal?: AbortSignal;
  /** Records in flight, at least 1. Default 1,024. */
  readonly window?: number;
}

/** The client and the log of a stream. */
export interface ProduceStreamPorts {
  readonly caller: RetryingCaller;
  readonly log: LogIdentity;
  /** `token`: see Session. */
  readonly onAppended: (appended: Appended, token: string | undefined) => void;
  /** The time until which the id of the log is asked for. */
  readonly pinDeadlineMs: () => number;
}

/**
 * Appends each record as it comes and yields the results in order.
 * @throws the Fault of the first append that failed. Its fact `acked` is the number of records that were appended. Later
 *   records in flight may have been appended, too; `written` is "unknown" then.
 */
export async function* produceStream(
  { caller, log, onAppended, pinDeadlineMs }: ProduceStreamPorts,
  records: Iterable<NewRecord | BytesLike> | AsyncIterable<NewRecord | BytesLike>,
  given: ProduceStreamOptions = {},
): AsyncGenerator<Appended, void, undefined> {
  const options = optionsOf<ProduceStreamOptions>(given);
  const window = windowOf(options);
  const own = signalOf(options.signal);
  const cut = new AbortController();
  const signal = anySignal(cut.signal, caller.closing, own);
  let sent = 0;
  let acked = 0;
  let wake: (() => void) | undefined;
  /** What `records` threw, or the fault of an item that is not a record. */
  let badInput: { readonly reason: unknown } | undefined;
  const requests = async function* (): AsyncGenerator<ProduceRequest> {
    try {
      for await (const record of records) {
        while (sent - acked >= window && !cut.signal.aborted)
          await new Promise<void>((resolve) => (wake = resolve));
        if (cut.signal.aborted) return;
        const request = requestOf(record, log);
        sent++;
        yield request;
      }
    } catch (reason) {
      badInput = { reason };
      throw reason;
    }
  };
  try {
    await caller.resolver.ensureKnown().catch(() => undefined); // if that fails, the first seed is used: nodes forward
    if (!log.isPinned) await log.pin({ deadlineMs: pinDeadlineMs(), signal: own }, "append");
    const transport = caller.transportTo(caller.picker.leader ?? caller.picker.addresses[0]!);
    const responses = createClient(Log, transport).produceStream(
      requests(),
      signal === undefined ? {} : { signal },
    );
    for await (const { offset, timestampMs, duplicate, logId, token } of responses) {
      log.learn(logId);
      acked++;
      wake?.();
      const [firstOffset, at] = [numberOf(offset), numberOf(timestampMs)];
      const appended = { firstOffset, count: 1, timestampMs: at, duplicate };
      onAppended(appended, token);
      yield appended;
    }
  } catch (reason) {
    if (badInput !== undefined && !(badInput.reason instanceof Fault) && sent === acked)
      throw badInput.reason;
    caller.resolver.markStale();
    throw failureOf(reason, badInput, own, { sent, acked });
  } finally {
    cut.abort();
    wake?.();
  }
}

function windowOf({ window = 1024 }: ProduceStreamOptions): number {
  if (Number.isInteger(window) && window > 0) return window;
  throw new Fault("bad-request", {
    message: `window must be a whole number above 0, not ${String(window)}`,
  });
}

/** Returns what the stream throws after `reason`. `own` is the signal of the caller. */
function failureOf(
  reason: unknown,
  badInput: { readonly reason: unknown } | undefined,
  own: AbortSignal | undefined,
  { sent, acked }: { readonly sent: number; readonly acked: number },
): unknown {
  const aborted = own?.aborted === true ? canceledFault(own) : undefined;
  const fault = aborted ?? faultOf(badInput?.reason ?? reason);
  const { kind, message, facts } = fault;
  // A fault of the application says nothing about the records in flight. One of the node concerns the first of them.
  const isCertain = sent === acked || (sent - acked === 1 && badInput === undefined && aborted === undefined);
  const written = isCertain ? fault.written : "unknown";
  if (written === "no" && aborted !== undefined) return rejectionOf(aborted, own);
  return new Fault(kind, { message, facts: { ...facts, acked }, written, cause: fault });
}

/** A run of one record, without its tag, is the content of the field `record`. */
function requestOf(record: NewRecord | BytesLike, log: LogIdentity): ProduceRequest {
  const request = create(ProduceRequestSchema, log.stated);
  request.$unknown = [{ no: 1, wireType: 2, data: encodeRun([record]).bytes.subarray(1) }];
  return request;
}
