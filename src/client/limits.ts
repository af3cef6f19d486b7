/**
 * How much anything of the client may hold, and how long anything may take, unless told otherwise.
 *
 * Never: unlimited.
 */

/** The largest run that one message can carry. */
export const runBytesMax = 4 * 1024 * 1024 - 128 * 1024;
/** The largest message that a node may send: a batch, its prefix included. */
export const messageBytesMax = 4 * 1024 * 1024;

export interface ClientLimits {
  /** How long a call may take with all its attempts, when it has no deadline of its own. */
  readonly callMs: number;
  /** How long one attempt may take, where another one would be safe. */
  readonly attemptMs: number;
  readonly attemptsMax: number;
  /** How long a client that never reached a node tries to, before its calls fail as unreachable. */
  readonly firstContactMs: number;
  /** Bytes of batches that a tail holds ready. */
  readonly tailBytesMax: number;
  /** How long a tail that finds no node keeps trying before it fails. */
  readonly resumeMs: number;
  /** A tail that hears nothing for so long asks again, elsewhere; infinite where the connection itself is watched. */
  readonly tailIdleMs: number;
  /** How long what GetServers told is taken for true. */
  readonly serversFreshMs: number;
  /** Bytes of appends that wait or are under way. */
  readonly queueBytesMax: number;
}

export const defaultLimits: ClientLimits = {
  callMs: 30_000,
  attemptMs: 5_000,
  attemptsMax: 30,
  firstContactMs: 5_000,
  tailBytesMax: 1024 * 1024,
  resumeMs: 5 * 60_000,
  tailIdleMs: Number.POSITIVE_INFINITY,
  serversFreshMs: 30_000,
  queueBytesMax: 32 * 1024 * 1024,
};
