/** The RPC TailLogs: the records of several logs, with a token to resume at in each response. */
import type { ServiceImpl } from "@connectrpc/connect";
import type { Logs } from "../../../gen/log/v1/log_pb.js";
import type { Clock } from "../../../lib/time/clock.ts";
import { RecordCursor, recordContentBytes } from "../../../log/mod.ts";
import type { MemoryBudget } from "../../../memory/mod.ts";
import type { TailedBatches } from "../../../types.ts";
import { signalOf } from "../../calls/abort.ts";
import { callOf, requestContextOf } from "../../calls/call-context.ts";
import type { Traffic } from "../../calls/traffic.ts";
import type { LogDirectory } from "../logs/log-directory.ts";
import { recordAt } from "../messages.ts";
import { ReadHold } from "../read-admission.ts";
import { askedLogs } from "./asked-logs.ts";
import { filteredTail, markerMs } from "./filtered-read.ts";
import { MultiRead } from "./multi-read.ts";
import { resumeToken } from "./resume-token.ts";
import { deletionOf, markerOf, nameOf, responseBytesMax, type TailLogsMessage } from "./tail-logs-message.ts";

export interface TailLogsOptions {
  readonly clock: Clock;
  readonly logs: LogDirectory;
  readonly traffic: Traffic;
  readonly memory: MemoryBudget;
  /** Interval of heartbeats, in milliseconds. */
  readonly heartbeatMs: number;
  /** Time of the filter of one request, in milliseconds. Default 10 s. */
  readonly filterMs?: number | undefined;
}

export function tailLogs(options: TailLogsOptions): ServiceImpl<typeof Logs>["tailLogs"] {
  const { logs, traffic, clock, memory, heartbeatMs } = options;
  return async function* (request, context) {
    const call = callOf(context);
    const signal = signalOf(call, context.signal);
    const found = await logs.followFor(call, askedLogs(request), { signal });
    const tail = filteredTail(found, request.filter, options);
    const { exchange: sink } = requestContextOf(context);
    const hold = new ReadHold(memory, { keeps: true, cut: () => sink.destroy() });
    const beatMs = markerMs(heartbeatMs, request.filter !== "");
    using read = new MultiRead(tail, { clock, signal, heartbeatMs: beatMs, sink, memory, hold });
    traffic.tails++;
    try {
      for (let event = await read.next(); event !== undefined; event = await read.next()) {
        if (typeof event === "string") yield markerOf(event, tail);
        else if ("deleted" in event) yield deletionOf(event, tail.life);
        else {
          for (const { response, bytes } of responsesOf(event, tail.life)) {
            call.bytesOut += bytes;
            traffic.sent(response.records?.length ?? 0, bytes);
            yield response;
            hold.progress(bytes);
          }
        }
      }
    } finally {
      traffic.tails--;
    }
  };
}

/** The batches as responses: one batch each, or a part of a large one. */
function* responsesOf(
  { log, slice, from }: TailedBatches,
  life: number,
): Generator<{ readonly response: TailLogsMessage; readonly bytes: number }> {
  const name = nameOf(log, life);
  const cursor = new RecordCursor(slice.frames, from, slice.kept);
  let records: ReturnType<typeof recordAt>[] = [];
  let bytes = 0;
  let index = 0;
  let sent = 0;
  const flush = () => {
    const response = { ...name, records, resume: resumeToken({ life, index, sent }) };
    const done = { response, bytes };
    records = [];
    bytes = 0;
    return done;
  };
  while (cursor.next()) {
    const size = recordContentBytes(cursor.frames, cursor.start, cursor.end);
    if (records.length > 0 && (cursor.index !== index || bytes + size > responseBytesMax)) yield flush();
    records.push(recordAt(cursor));
    bytes += cursor.end - cursor.start;
    index = cursor.index;
    sent = cursor.offset - cursor.baseOffset + 1;
  }
  if (records.length > 0) yield flush();
}
