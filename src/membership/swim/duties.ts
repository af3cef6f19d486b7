/**
 * What the core asks its driver to do, and what it has to tell.
 *
 * Never: does it.
 */
import type { Fault } from "../../fault.ts";
import type { Endpoint } from "../codec/address.ts";
import type { Tags } from "../serf/tags.ts";

/** One datagram. Best effort: the driver need not tell whether it went out. */
export interface OutgoingPacket {
  readonly to: Endpoint;
  /** Messages, to be sealed into one datagram. */
  readonly parts: readonly Buffer[];
  /** The receiver is known to understand the checksum layer. */
  readonly crc: boolean;
}

/** One message there and one back on a stream. The driver reports the outcome by `dialed(id, …)`, always. */
export interface OutgoingDial {
  readonly id: number;
  readonly to: Endpoint;
  readonly request: Buffer;
  readonly timeoutMs: number;
}

export interface Ready {
  readonly packets: readonly OutgoingPacket[];
  readonly dials: readonly OutgoingDial[];
  readonly events: readonly SerfEvent[];
}

/** Serf's view of a member; "suspect" is an alive one that does not answer. */
export type MemberStatus = "alive" | "suspect" | "leaving" | "left" | "failed";

export interface Member extends Endpoint {
  readonly name: string;
  readonly status: MemberStatus;
  readonly tags: Tags;
}

/** A query as it is shown to whoever may answer it. */
export interface IncomingQuery {
  readonly name: string;
  readonly payload: Buffer;
  readonly from: string;
  readonly timeoutMs: number;
  /** Answers once, with at most 1,024 bytes; false when it is too late or was answered already. */
  respond(payload: Uint8Array): boolean;
}

export type SerfEvent =
  | { readonly kind: "joined" | "left" | "failed" | "updated" | "reaped"; readonly member: Member }
  | {
      readonly kind: "user-event";
      readonly name: string;
      readonly payload: Buffer;
      readonly lTime: number;
      readonly coalesce: boolean;
    }
  | { readonly kind: "query"; readonly query: IncomingQuery }
  /** Somebody says that a member lives elsewhere while it lives here: ignored, and told. */
  | {
      readonly kind: "conflict";
      readonly name: string;
      readonly known: Endpoint;
      readonly claimed: Endpoint;
    }
  /** Somebody who may not be a member (see Admission) is said to be one: ignored, and told. */
  | { readonly kind: "refused"; readonly name: string; readonly at: Endpoint; readonly fault: Fault };

/**
 * May there be a member of this name with these tags? A Fault says why not. Asked whenever somebody arrives or changes
 * its tags, so it is quick and depends on nothing else for long.
 */
export type Admission = (name: string, tags: Tags) => Fault | undefined;

/** Counts of what was refused or lost, for metrics. Only ever grows. */
export interface Counters {
  malformed: number;
  unknownType: number;
  incompatible: number;
  implausible: number;
  overflow: number;
  conflicts: number;
  refused: number;
  suspicions: number;
  refutations: number;
  packetsOut: number;
  packetsIn: number;
  messagesOut: number;
}

export function newCounters(): Counters {
  return {
    malformed: 0,
    unknownType: 0,
    incompatible: 0,
    implausible: 0,
    overflow: 0,
    conflicts: 0,
    refused: 0,
    suspicions: 0,
    refutations: 0,
    packetsOut: 0,
    packetsIn: 0,
    messagesOut: 0,
  };
}

/** Dials under way or asked for at a time; more are refused at once. */
export const dialsMax = 64;
