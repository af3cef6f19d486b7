/**
 * The words of the batcher: what it is set to, what it hands out and what becomes of it. Types and nothing else.
 *
 * Never: does anything.
 */
import type { Fault } from "../../fault.ts";
import type { Appended, RecordRun } from "../../types.ts";
import type { Stamp } from "../raw-batches.ts";

export interface BatcherSettings {
  /** A batch has at most so many records and bytes, a run that is larger by itself excepted. */
  readonly recordsMax: number;
  readonly bytesMax: number;
  /** How long an open batch waits for more, milliseconds; 0 sends at once while there is room in flight. */
  readonly lingerMs: number;
  /** Batches under way; the server remembers five of a producer. */
  readonly inFlightMax: number;
  readonly queueBytesMax: number;
  /** How long a run is tried, unless it says so itself. */
  readonly deliveryMs: number;
  readonly producer?: { readonly id: bigint; readonly epoch: number } | undefined;
}

/** A run, and whose it is. */
export interface Item<Ticket> {
  readonly run: RecordRun;
  readonly ticket: Ticket;
}

/** A batch to be sent. What is not readonly is the batcher's business. */
export interface Batch<Ticket> {
  readonly items: readonly Item<Ticket>[];
  readonly bytes: number;
  readonly count: number;
  /** When its last attempt must be over. */
  readonly expiresAt: number;
  stamp: Stamp | undefined;
  state: "in-flight" | "waiting";
  notBefore: number;
  isUncertain: boolean;
  /** Nothing else flew when it was sent. */
  wasSentAlone: boolean;
  attempts: number;
  /** Of the last attempt. */
  lastFault: Fault | undefined;
}

/** What became of a run. */
export type Outcome<Ticket> =
  | { readonly ticket: Ticket; readonly appended: Appended }
  | { readonly ticket: Ticket; readonly fault: Fault };
