/** The types of the batcher: its settings, the batches it sends and the results. */
import type { Fault } from "../../fault.ts";
import type { Appended, RecordRun } from "../../types.ts";
import type { Stamp } from "../raw-batches.ts";

export interface BatcherSettings {
  /** Records in one batch. A single run may have more. */
  readonly recordsMax: number;
  /** Bytes in one batch. A single run may have more. */
  readonly bytesMax: number;
  /** How long an open batch waits for more runs, in milliseconds. With 0 it is sent as soon as one may be in flight. */
  readonly lingerMs: number;
  /**
   * Batches in flight. With a producer, also the batches that are sent until the first of them is resolved: a node stores the
   * results of the last five batches of a producer.
   */
  readonly inFlightMax: number;
  /** Bytes that are queued or in flight. A single run may have more. */
  readonly queueBytesMax: number;
  /** How long a run without a deadline is tried, in milliseconds. */
  readonly deliveryMs: number;
  /** Absent: batches have no sequence, and one with an unknown outcome is not retried. */
  readonly producer?: { readonly id: bigint; readonly epoch: number } | undefined;
}

/** A run in a batch, with the ticket of its caller. Its bytes follow those of the item before it. */
export interface Item<Ticket> {
  readonly ticket: Ticket;
  readonly count: number;
  readonly bytes: number;
}

/** A batch to be sent. Only the batcher changes the members that are not readonly. */
export interface Batch<Ticket> {
  readonly items: readonly Item<Ticket>[];
  /** The runs of the items as one run. */
  readonly run: RecordRun;
  /** Time on the monotonic clock when the last attempt must be over, in milliseconds. */
  readonly expiresAt: number;
  stamp: Stamp | undefined;
  /** How many batches were sent for the first time before this one. */
  ordinal: number;
  state: "in-flight" | "waiting";
  /** The next attempt is not made before this time. */
  notBefore: number;
  /** The outcome of an attempt was unknown. The sequence of the batch must not be used for other records. */
  isUncertain: boolean;
  /** No other batch was in flight when this one was sent. */
  wasSentAlone: boolean;
  attempts: number;
  lastFault: Fault | undefined;
}

/** The result of a run. */
export type Outcome<Ticket> =
  | { readonly ticket: Ticket; readonly appended: Appended }
  | { readonly ticket: Ticket; readonly fault: Fault };
