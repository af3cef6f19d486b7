/**
 * The open tickets of one node. A ticket opens one tail of stated logs, as the caller that made it.
 *
 *   ticket := base64url(name of the node that made it) "." base64url(32 random bytes)
 *
 * Only this node has the ticket, by its hash, until it is used or too old: so it is used once in the cluster. Memory is bounded by
 * the number of tickets, of each subject and of all. Pure.
 */
import { hash } from "node:crypto";
import { type Identity, type TicketLogs, TicketScopes, type TokenRights } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { refused } from "../verified-token.ts";
import { ticketLifeMs, ticketsMax, ticketsOfSubjectMax } from "./ticket-limits.ts";

export interface TicketBookOptions {
  /** The name of this node in its cluster. */
  readonly node: string;
  readonly random: (bytes: number) => Uint8Array;
  readonly clock: Pick<Clock, "monotonicMs">;
}

/** A ticket in its parts. */
export interface TicketParts {
  /** The node that made it. */
  readonly node: string;
  /** SHA-256 of the random part, in base64. */
  readonly digest: string;
}

/** What a ticket stands for. */
export interface Ticket {
  readonly holder: Identity;
  readonly logs: TicketLogs;
}

interface OpenTicket extends Ticket {
  readonly endMs: number;
}

const secretBytes = 32;
/** Longest name of a node in base64url, and the secret. */
const form = /^([A-Za-z0-9_-]{1,684})\.([A-Za-z0-9_-]{43})$/;

/** @throws Fault "unauthenticated" for a text that is no ticket */
export function parseTicket(text: string): TicketParts {
  const [, node, secret] = form.exec(text) ?? [];
  if (node === undefined || secret === undefined) throw unusable();
  return { node: Buffer.from(node, "base64url").toString(), digest: digestOf(secret) };
}

/** The refusal of a ticket that is not open. It does not say which of the reasons it is. */
export const unusable = (): Fault =>
  refused(
    "TICKET_INVALID",
    `this ticket was used, is older than ${ticketLifeMs / 1000} s, is not one of this cluster, or the node that made it does not answer; POST /tickets makes another one`,
  );

export class TicketBook {
  readonly #options: TicketBookOptions;
  /** Digest → ticket, the oldest first. */
  readonly #open = new Map<string, OpenTicket>();
  /** Subject → its open tickets. */
  readonly #counts = new Map<string, number>();

  constructor(options: TicketBookOptions) {
    this.#options = options;
  }

  /** The number of tickets that are kept. */
  get size(): number {
    return this.#open.size;
  }

  /** Makes a ticket. @throws Fault "overloaded" if the subject, or all together, have as many open ones as is allowed */
  issue(holder: Identity, logs: TicketLogs): string {
    const { clock, random, node } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#forgetOld(nowMs);
    const ofSubject = this.#counts.get(holder.subject) ?? 0;
    if (ofSubject >= ticketsOfSubjectMax)
      throw new Fault("overloaded", {
        message: `"${holder.subject}" has ${ofSubject} tickets that were not used yet, and no more at the same time; each ends after ${ticketLifeMs / 1000} s`,
        facts: { limit: ticketsOfSubjectMax },
      });
    if (this.#open.size >= ticketsMax)
      throw new Fault("overloaded", {
        message: `this node has ${ticketsMax} tickets that were not used yet, and no more at the same time`,
        facts: { limit: ticketsMax },
      });
    const secret = Buffer.from(random(secretBytes)).toString("base64url");
    this.#open.set(digestOf(secret), { holder, logs, endMs: nowMs + ticketLifeMs });
    this.#counts.set(holder.subject, ofSubject + 1);
    return `${Buffer.from(node).toString("base64url")}.${secret}`;
  }

  /** Takes an open ticket, which is used from now on. @throws Fault "unauthenticated" if it is not open */
  take(digest: string): Ticket {
    const ticket = this.#open.get(digest);
    if (ticket === undefined) throw unusable();
    this.#forget(digest, ticket);
    if (ticket.endMs <= this.#options.clock.monotonicMs()) throw unusable();
    return ticket;
  }

  /** All live equally long, so the oldest end first. */
  #forgetOld(nowMs: number): void {
    for (const [digest, ticket] of this.#open) {
      if (ticket.endMs > nowMs) return;
      this.#forget(digest, ticket);
    }
  }

  #forget(digest: string, { holder: { subject } }: OpenTicket): void {
    this.#open.delete(digest);
    const left = (this.#counts.get(subject) ?? 1) - 1;
    if (left > 0) this.#counts.set(subject, left);
    else this.#counts.delete(subject);
  }
}

/** A look-up by hash takes no time that depends on the secret. */
const digestOf = (secret: string): string => hash("sha256", secret, "base64");

/** The identity of the holder of a ticket: its maker, who only reads these logs. What ends the maker's token ends it too. */
export function ticketIdentity({ holder, logs }: Ticket): Identity {
  const { token } = holder;
  const rights: TokenRights = {
    form: "ticket",
    id: token?.id ?? "",
    expiresMs: token?.expiresMs ?? Number.POSITIVE_INFINITY,
    scopes: new TicketScopes(logs, token?.scopes),
    leftMs: () => token?.leftMs() ?? Number.POSITIVE_INFINITY,
    invalid: () => token?.invalid(),
  };
  return { ...holder, token: rights };
}
