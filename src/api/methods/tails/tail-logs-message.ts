/** The responses of TailLogs that Connect and the fast path build alike. Pure. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TailLogsResponseSchema } from "../../../gen/log/v1/log_pb.js";
import type { DeletedLog, MultiTail, TailedLogName } from "../../../types.ts";
import { logIdText } from "../logs/log-id.ts";
import { filteredOf } from "./filtered-read.ts";
import { resumeToken } from "./resume-token.ts";

export type TailLogsMessage = MessageInitShape<typeof TailLogsResponseSchema>;

/** "suspended" is the last one: the filter has used its time. */
export type MultiMarker = "caught-up" | "heartbeat" | "suspended";

/** Content of the records of one response, in bytes. A larger record is sent alone. */
export const responseBytesMax = 256 * 1024;

/**
 * The ends of logs that a marker states. "Caught up" follows each wake: with all ends, a record of one log would cost those of
 * 256. The first response is a heartbeat.
 */
export const endsOf = (event: MultiMarker, tail: MultiTail): ReturnType<MultiTail["ends"]> =>
  tail.ends(event === "caught-up" ? "taken" : "all");

/** Where the tail is, and the ends of the logs that were named. */
export function markerOf(event: MultiMarker, tail: MultiTail): TailLogsMessage {
  const { life, position, end } = tail;
  const filtered = filteredOf(tail);
  return {
    ...(filtered === undefined ? {} : { filtered: true, skipped: BigInt(filtered.skipped) }),
    suspended: event === "suspended",
    caughtUp: event === "caught-up",
    heartbeat: event === "heartbeat",
    resume: resumeToken({ life, ...position }),
    endIndex: BigInt(end),
    ends: endsOf(event, tail).map((log) => ({ ...nameOf(log, life), nextOffset: BigInt(log.next) })),
  };
}

/** The response for a log that was named and is deleted. */
export const deletionOf = ({ deleted }: DeletedLog, life: number): TailLogsMessage => ({
  ...nameOf(deleted, life),
  deleted: true,
});

/** The name of a log, and its id unless it is `default` or the id is not known. */
export const nameOf = ({ id, name }: TailedLogName, life: number): { log: string; logId?: string } =>
  id === 0 ? { log: name } : { log: name, logId: logIdText(life, id) };
