/**
 * Makes tickets on this node, and takes them. A ticket that another node made is taken there, over the peer link: that node alone
 * knows whether it was used.
 */
import type { Identity, TicketLogs } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import { clientNetworkOf } from "../../lib/names/client-network.ts";
import type { Clock } from "../../lib/time/clock.ts";
import {
  decodeTicket,
  encodeTicket,
  FailedAttempts,
  parseTicket,
  Shares,
  type Ticket,
  TicketBook,
  type TicketChecks,
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
  /** The OpenID issuer whose tokens are accepted, besides those of the cluster. Default: none. */
  readonly issuer?: TicketChecks["issuer"] | undefined;
  readonly random: (bytes: number) => Uint8Array;
  readonly clock: Clock;
}

/** The verb on the peer link. Its body is { digest }. */
export const ticketsVerb = "tickets";

/** How long another node may take. */
const askMs = 3_000;
/** Requests to other nodes at the same time: all, those to one node, and those for one network of clients. */
const asksMax = 256;
const asksOfNodeMax = 64;
const asksOfNetworkMax = 32;

export class TicketDesk {
  readonly #options: TicketDeskOptions;
  readonly #book: TicketBook;
  readonly #failures = new FailedAttempts();
  readonly #ofNodes = new Shares(asksOfNodeMax);
  readonly #ofNetworks = new Shares(asksOfNetworkMax);
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
   * Takes a ticket and resolves to its holder. `peer` is the address and port of the client.
   * @throws Fault "unauthenticated" if it is not open, also if the node that made it does not answer, and the ticket may be used then;
   *   "overloaded" for too many at once, and after many tickets of the address that other nodes did not take
   */
  async redeem(text: string, peer: string): Promise<Identity> {
    const { node, digest } = parseTicket(text);
    const ticket =
      node === this.#options.node
        ? this.#book.take(digest)
        : await this.#takeElsewhere(node, digest, clientNetworkOf(peer));
    const identity = ticketIdentity(ticket);
    const fault = identity.token?.invalid();
    if (fault !== undefined) throw fault;
    return identity;
  }

  /** Answers another node at which a ticket of this node is used. @throws Fault as TicketBook.take() */
  answer(body: unknown): object {
    const { digest } = (body ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof digest !== "string")
      throw new Fault("bad-request", { message: "the peer's request about a ticket is malformed" });
    return encodeTicket(this.#book.take(digest));
  }

  /** The refusal is the same for a node that is unknown, does not answer or does not have the ticket: it shows no names of nodes. */
  async #takeElsewhere(node: string, digest: string, network: string): Promise<Ticket> {
    const { addressOf, clock } = this.#options;
    const waitMs = this.#failures.waitMs(network, clock.monotonicMs());
    if (waitMs > 0)
      throw new Fault("overloaded", {
        message: `too many tickets from this address were not valid; the next one is looked at in ${Math.ceil(waitMs / 1000)} s`,
      });
    try {
      const address = addressOf(node);
      if (address === undefined) throw unusable();
      return await this.#askInShare(node, address, digest, network);
    } catch (reason) {
      const fault = Fault.from(reason);
      if (fault.kind === "unauthenticated") this.#failures.failed(network, clock.monotonicMs());
      throw fault;
    }
  }

  async #askInShare(node: string, address: string, digest: string, network: string): Promise<Ticket> {
    if (this.#ofNetworks.isFull(network)) throw tooManyAsks("of this address", asksOfNetworkMax);
    if (this.#ofNodes.isFull(node)) throw tooManyAsks("of the same node", asksOfNodeMax);
    if (this.#asks >= asksMax) throw tooManyAsks("of other nodes", asksMax);
    this.#asks++;
    this.#ofNodes.begin(node);
    this.#ofNetworks.begin(network);
    try {
      return await this.#askFor(address, digest);
    } finally {
      this.#asks--;
      this.#ofNodes.end(node);
      this.#ofNetworks.end(network);
    }
  }

  async #askFor(address: string, digest: string): Promise<Ticket> {
    const { ask, source, issuer, clock } = this.#options;
    try {
      const answer = await ask(address, ticketsVerb, { digest }, clock.monotonicMs() + askMs);
      return await decodeTicket(answer, { source, issuer, wallMs: () => clock.wallMs() });
    } catch {
      throw unusable();
    }
  }
}

const tooManyAsks = (whose: string, limit: number): Fault =>
  new Fault("overloaded", {
    message: `${limit} tickets ${whose} are being checked, try again with another ticket`,
    facts: { limit },
  });
