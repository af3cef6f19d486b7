/** Limits of a client: how much it buffers and how long it waits. Every one has a default. */

/** The largest run that one message can carry, in bytes. */
export const runBytesMax = 4 * 1024 * 1024 - 128 * 1024;
/** The largest message that a node may send, in bytes: one batch with its gRPC prefix. */
export const messageBytesMax = 4 * 1024 * 1024;

export interface ClientLimits {
  /** Timeout of a call without a deadline, all attempts included, in milliseconds. Default 30,000. */
  readonly callMs: number;
  /** Timeout of one attempt of a call that can be repeated safely, in milliseconds. Default 5,000. */
  readonly attemptMs: number;
  /** Attempts of one call. Default 30. */
  readonly attemptsMax: number;
  /**
   * How long a client that has never reached a node keeps trying, in milliseconds. After that its calls fail with Fault
   * "unreachable". Default 5,000.
   */
  readonly firstContactMs: number;
  /** Bytes that a tail reads ahead. Default 1 MiB. */
  readonly tailBytesMax: number;
  /** How long a tail without a reachable node keeps trying before it fails, in milliseconds. Default 300,000. */
  readonly resumeMs: number;
  /**
   * A tail that receives nothing for this long asks another node, in milliseconds; infinite for no limit. Default 60,000.
   * A node can be alive and no longer receive records from its cluster, which no ping detects.
   */
  readonly tailIdleMs: number;
  /** After this time the list of nodes is refreshed by the next call, in milliseconds; after a second if no leader is known. Default 30,000. */
  readonly serversFreshMs: number;
  /** Bytes of appends that are queued or in flight, for each producer. Default 32 MiB. */
  readonly queueBytesMax: number;
}

export const defaultLimits: ClientLimits = {
  callMs: 30_000,
  attemptMs: 5_000,
  attemptsMax: 30,
  firstContactMs: 5_000,
  tailBytesMax: 1024 * 1024,
  resumeMs: 5 * 60_000,
  tailIdleMs: 60_000,
  serversFreshMs: 30_000,
  queueBytesMax: 32 * 1024 * 1024,
};
