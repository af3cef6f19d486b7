/** One TailLogs stream from one node. */
import { createClient } from "@connectrpc/connect";
import { Logs, type TailLogsResponse } from "../../gen/log/v1/log_pb.js";
import { readStream, type StreamEnd, type StreamOptions } from "../consume/read-stream.ts";

export interface TailRequest {
  readonly names: string[];
  readonly logIds: string[];
  readonly prefix?: string;
  readonly resume: string;
  readonly fromStart: boolean;
  /** Empty: all records. */
  readonly filter: string;
}

/** Resolves to why the stream ended, and its node. It is not read while the promise of `onResponse` is pending. */
export async function readTailStream(
  request: TailRequest,
  options: StreamOptions,
  onResponse: (response: TailLogsResponse) => Promise<void> | undefined,
): Promise<{ readonly why: StreamEnd; readonly addr: string | undefined }> {
  return readStream(
    options,
    ({ transport, signal }) =>
      createClient(Logs, transport).tailLogs(request, signal === undefined ? {} : { signal }),
    onResponse,
  );
}
