/**
 * Makes tickets on this node, and takes them. A ticket that another node made is taken there, over the peer link: that node alone
 * knows whether it was used.
 */
import type { Identity, TicketLogs } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import {
  decodeTicket,
  encodeTicket,
  parseTicket,
  type Ticket,
  TicketBook,
  type TokenSource,
  ticketIdentity,
  unusable,
} from "../../tokens/mod.ts";

export interface TicketDeskOptions {
  /** The name of this node in its cluster. */
  readonly node: string;
  /** The addresses of the members, by name. */
  readonly addressOf: (node: string) => string | undefined;
  readonly ask: (address: string, verb: string, body: unknown, deadlineMs: number) => Promise<unknown>;
  readonly source: TokenSource;
  readonly random: (bytes: number) => Uint8Array;
  readonly clock: Clock;
}

/** The verb on the peer link. Its body is { digest }. */
export const ticketsVerb = "tickets";

/** How long another node may take. */
const askMs = 3_000;
/** Requests to other nodes at the same time. */
const asksMax = 256;

export class TicketDesk {
  readonly #options: TicketDeskOptions;
  readonly #book: TicketBook;
  #asks = 0;

  constructor(options: TicketDeskOptions) {
    this.#options = options;
    this.#book = new TicketBook(options);
  }

  /** Makes a ticket. @throws Fault "overloaded" */
  issue(holder: Identity, logs: TicketLogs): string {
    return this.#book.issue(holder, logs);
  }

  /**
   * Takes a ticket and resolves to its holder.
   * @throws Fault "unauthenticated" if it is not open; "unavailable" if the node that made it does not answer, and the ticket may be
   *   used then; "overloaded", "failed-precondition"
   */
  async redeem(text: string): Promise<Identity> {
    const { node, digest } = parseTicket(text);
    const ticket = node === this.#options.node ? this.#book.take(digest) : await this.#askFor(node, digest);
    const identity = ticketIdentity(ticket);
    const fault = identity.token?.invalid();
    if (fault !== undefined) throw fault;
    return identity;
  }

  /** Answers another node at which a ticket of this node is used. @throws Fault as TicketBook.take(), encodeTicket() */
  answer(body: unknown): object {
    const { digest } = (body ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof digest !== "string")
      throw new Fault("bad-request", { message: "the peer's request about a ticket is malformed" });
    return encodeTicket(this.#book.take(digest));
  }

  async #askFor(node: string, digest: string): Promise<Ticket> {
    const { addressOf, ask, source, clock } = this.#options;
    const address = addressOf(node);
    if (address === undefined) throw unusable();
    if (this.#asks >= asksMax)
      throw new Fault("overloaded", {
        message: `${asksMax} tickets of other nodes are being checked, try again with another ticket`,
        facts: { limit: asksMax },
      });
    this.#asks++;
    try {
      const answer = await ask(address, ticketsVerb, { digest }, clock.monotonicMs() + askMs);
      return decodeTicket(answer, source, () => clock.wallMs());
    } catch (reason) {
      const fault = Fault.from(reason);
      if (["unauthenticated", "failed-precondition"].includes(fault.kind)) throw fault;
      throw new Fault("unavailable", {
        message: `the ticket was made by the node "${node}", which could not be asked: ${fault.message}; POST /tickets makes another one`,
        cause: reason,
      });
    } finally {
      this.#asks--;
    }
  }
}
