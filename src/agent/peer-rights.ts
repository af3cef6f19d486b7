/**
 * Checks that incoming peer links have the permission "peer" and the certificate of their node. When the access rules
 * change, every open link is checked again.
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
    this.#stopListening = access.onReload(() => this.#checkLinks());
  }

  /** Watches the link until it closes. The returned function says why the link may not be that of a node, if so. */
  of(socket: Duplex, identity: Identity): (node: { readonly name: string }) => string | undefined {
    this.#links.set(socket, identity);
    socket.once("close", () => this.#links.delete(socket));
    return ({ name }) => {
      if (!this.#access.check(identity, logObject, "peer")) return `${identity.subject} may not be a peer`;
      return mayBeNode(identity, name) ? undefined : `the certificate is not that of ${name}`;
    };
  }

  #checkLinks(): void {
    for (const [socket, identity] of this.#links) {
      if (this.#access.check(identity, logObject, "peer")) continue;
      this.#log.warn(
        { subject: identity.subject },
        "closed a peer's link: the access rules no longer allow it",
      );
      socket.destroy();
    }
  }

  [Symbol.dispose](): void {
    this.#stopListening();
  }
}
