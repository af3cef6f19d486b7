/** The interface between an H2Connection and what runs it. */
import type { IncomingHttpHeaders } from "node:http2";
import type { H2Stream } from "./h2-stream.ts";

/** What an H2Connection needs from its environment. H2Session implements it on a socket. */
export interface H2Host {
  /** Serves a request. Its body and end come through the callbacks of the stream. */
  onRequest(stream: H2Stream, headers: IncomingHttpHeaders): void;
  /** A callback of the stream's server threw `reason`. The stream is reset next. */
  onStreamFailed(reason: unknown): void;
  /** Milliseconds of a monotonic clock. */
  monotonicMs(): number;
  /** The output buffer has bytes. They should be sent soon, but not within this call. */
  onOutput(): void;
  /** The connection is over: send what is in the output buffer and close. */
  close(): void;
}
