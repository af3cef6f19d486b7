/**
 * The name of a stream in the path of a request: that of a named log.
 *
 *   path := "/v1/stream/" element ("/" element)*        each element is percent-encoded UTF-8
 */
import { Fault } from "../../../fault.ts";
import { defaultLog } from "../../../lib/names/log-name.ts";
import { decodedName } from "../logs/log-path.ts";

const prefix = "/v1/stream/";

/** Returns whether a path is that of a stream. */
export const isStreamPath = (path: string): boolean => path.startsWith(prefix);

/**
 * Returns the name of the log of a stream.
 * @throws Fault "bad-request", also for the log `default`, which is not a stream
 */
export function streamNameOf(path: string): string {
  const encoded = path.slice(prefix.length);
  const name = encoded === "" ? undefined : decodedName(encoded);
  if (name !== undefined) return name;
  const message =
    encoded === ""
      ? `the name of a stream is missing after ${prefix}`
      : `the log "${defaultLog}" is not a stream: a stream is a named log`;
  throw new Fault("bad-request", { message, facts: { field: "log" } });
}
