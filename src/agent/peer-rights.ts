/**
 * Whom the access rules let be a peer: asked when a link comes in, and again of every open link when the rules change,
 * as running streams are.
 *
 * Never: reads what a link says.
 */
import type { Duplex } from "node:stream";
import { type AccessControl, type Identity, logObject, mayBeNode } from "../access/mod.ts";
import type { Logger } from "../lib/telemetry.ts";

export class PeerRights implements Disposable {
  readonly #access: Pick<AccessControl, "check" | "onReload">;
  readonly #log: Logger;
  readonly #links = new Map<Duplex, Identity>();
  readonly #stopListening: () => void;

  constructor(access: Pick<AccessControl, "check" | "onReload">, log: Logger) {
    this.#access = access;
    this.#log = log;
    this.#stopListening = access.onReload(() => this.#askAgain());
  }

  /** Remembers the link until it closes; answers who asks, by name, whether and why this link may not be that node's. */
  of(socket: Duplex, identity: Identity): (node: { readonly name: string }) => string | undefined {
    this.#links.set(socket, identity);
    socket.once("close", () => this.#links.delete(socket));
    return ({ name }) => {
      if (!this.#access.check(identity, logObject, "peer")) return `${identity.subject} may not be a peer`;
      return mayBeNode(identity, name) ? undefined : `the certificate is not that of ${name}`;
    };
  }

  #askAgain(): void {
    for (const [socket, identity] of this.#links) {
      if (this.#access.check(identity, logObject, "peer")) continue;
      this.#log.warn(
        { subject: identity.subject },
        "a peer's link is ended: the access rules do not allow it any more",
      );
      socket.destroy();
    }
  }

  [Symbol.dispose](): void {
    this.#stopListening();
  }
}
