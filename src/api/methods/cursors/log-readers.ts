/** The readers of a log, for Describe: its cursors, and the tails that run on this node. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CursorSchema, RunningTailSchema } from "../../../gen/log/v1/log_pb.js";
import { defaultLog } from "../../../lib/names/log-name.ts";
import type { Clock } from "../../../lib/time/clock.ts";
import type { CallTracker } from "../../calls/call-tracker.ts";
import { runningTails } from "../../calls/running-tails.ts";
import { type LogDirectory, objectOfLog } from "../logs/log-directory.ts";
import { parseLogId } from "../logs/log-id.ts";
import { cursorMessage } from "./cursor-calls.ts";

/** Cursors, and tails, that one response lists. */
const shownMax = 64;

export interface ReadersContext {
  readonly logs: Pick<LogDirectory, "firstCursors">;
  readonly calls: Pick<CallTracker, "inProgress">;
  readonly clock: Pick<Clock, "monotonicMs">;
}

/** Fields of DescribeResponse. */
interface Readers {
  readonly cursors: MessageInitShape<typeof CursorSchema>[];
  readonly cursorCount: bigint;
  readonly tails: MessageInitShape<typeof RunningTailSchema>[];
  readonly tailCount: bigint;
}

/** `log`: its name as the request has it. `logId`: undefined for `default`. */
export function readersOf(
  { logs, calls, clock }: ReadersContext,
  { log, logId }: { readonly log: string; readonly logId: string | undefined },
  { lowestOffset = 0n, nextOffset = 0n }: { readonly lowestOffset?: bigint; readonly nextOffset?: bigint },
): Readers {
  const name = logId === undefined ? defaultLog : log;
  const extent = { lowest: Number(lowestOffset), next: Number(nextOffset) };
  const { cursors, count } = logs.firstCursors(logId === undefined ? 0 : parseLogId(logId).id, shownMax);
  const running = runningTails(calls.inProgress, { log: name, object: objectOfLog(name) }, shownMax);
  const nowMs = clock.monotonicMs();
  return {
    cursors: cursors.map((cursor) => cursorMessage(cursor, extent)),
    cursorCount: BigInt(count),
    tails: running.tails.map(({ subject, method, position, sinceMs }) => ({
      ...{ subject, method, runningMs: BigInt(Math.max(0, Math.round(nowMs - sinceMs))) },
      ...(position === undefined
        ? {}
        : { position: BigInt(position), lag: BigInt(Math.max(0, extent.next - position)) }),
    })),
    tailCount: BigInt(running.count),
  };
}
