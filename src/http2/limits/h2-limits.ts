/** The limits of one HTTP/2 connection. README.md names the attack that each of them bounds. */
import type { TimeLimits } from "./deadlines.ts";
import type { FrameBudget } from "./frame-meter.ts";

export interface H2Limits {
  /** Concurrent streams (SETTINGS_MAX_CONCURRENT_STREAMS). Default 1,024. */
  readonly streamsMax: number;
  /** Bytes of DATA that a client may send on one stream before the server reads them. Default 1 MiB. */
  readonly streamWindow: number;
  /** The same for all streams of the connection. Default 16 MiB. */
  readonly connectionWindow: number;
  /** Bytes of a header list, counted as in RFC 9113 §6.5.2 (SETTINGS_MAX_HEADER_LIST_SIZE). Default 16 KiB. */
  readonly headerListBytesMax: number;
  readonly times: TimeLimits;
  /** The budget for frames that do not advance a request. */
  readonly frames: FrameBudget;
  /**
   * A client may reset a stream without charge if the response began in an earlier turn, or if the stream is as old as
   * this. Milliseconds, default 25.
   */
  readonly servedMs: number;
  /**
   * Requests that one turn of the event loop begins, or streams that it closes. A light request counts as an eighth of
   * one. Default 32.
   */
  readonly requestsPerTurn: number;
  /** Milliseconds for which a turn begins requests that are not light. Default 5. */
  readonly turnMs: number;
}

export const defaultH2Limits: H2Limits = {
  streamsMax: 1024,
  streamWindow: 1024 * 1024,
  connectionWindow: 16 * 1024 * 1024,
  headerListBytesMax: 16 * 1024,
  times: { headersMs: 10_000, requestMs: 300_000, idleMs: 65_000 },
  // Enough to open and reset all streams once before any is served (2 × 1,024), and half of that again.
  frames: { burst: 3 * 1024, savedMax: 256 * 1024, perSecond: 50 },
  servedMs: 25,
  requestsPerTurn: 32,
  turnMs: 5,
};
