/** Members and events as Serf shows them, and the events that the driver has yet to take. */
import type { Fault } from "../../fault.ts";
import type { Endpoint } from "../codec/address.ts";
import type { Tags } from "./tags.ts";

/** Serf's status of a member. "suspect" is SWIM's: the member is alive for Serf, but does not answer. */
export type MemberStatus = "alive" | "suspect" | "leaving" | "left" | "failed";

export interface MemberView extends Endpoint {
  readonly name: string;
  readonly status: MemberStatus;
  readonly tags: Tags;
}

/** A query from any member, to be answered by the application. */
export interface IncomingQuery {
  readonly name: string;
  readonly payload: Buffer;
  readonly from: string;
  readonly timeoutMs: number;
  /**
   * Sends the response, once. Returns false if the query has timed out or was answered before.
   * @throws Fault "too-large" for more than about 1,024 bytes
   */
  respond(payload: Uint8Array): boolean;
}

export type SerfEvent =
  | { readonly kind: "joined" | "left" | "failed" | "updated" | "reaped"; readonly member: MemberView }
  | {
      readonly kind: "user-event";
      readonly name: string;
      readonly payload: Buffer;
      readonly lTime: number;
      readonly coalesce: boolean;
    }
  | { readonly kind: "query"; readonly query: IncomingQuery }
  /** Another address claims the name of a member. The claim is ignored. */
  | {
      readonly kind: "conflict";
      readonly name: string;
      readonly known: Endpoint;
      readonly claimed: Endpoint;
    }
  /** The admission check refused a member. It is ignored. */
  | { readonly kind: "refused"; readonly name: string; readonly at: Endpoint; readonly fault: Fault };

/** Collects events until the driver takes them. */
export class EventBuffer {
  #events: SerfEvent[] = [];

  add(event: SerfEvent): void {
    this.#events.push(event);
  }

  take(): readonly SerfEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }
}
