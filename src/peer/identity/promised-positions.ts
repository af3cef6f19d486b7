/**
 * Records how far each member has promised to have the log durably: by its votes, its acknowledgments and its pings.
 *
 * A member that returns with less than that has lost data, and is refused (identity-check.ts).
 */
import { type Message, promiseIn } from "../../raft/mod.ts";
import { isCount, type Position } from "../../replication/mod.ts";
import type { PeerHello } from "../handshake/introduction.ts";
import type { IdentityContext } from "./identity-context.ts";

export class PromisedPositions {
  readonly #context: IdentityContext;
  #failed = false;

  constructor(context: IdentityContext) {
    this.#context = context;
  }

  /** True if the last attempt to store the positions failed. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Records what a Raft message promises. A node that acknowledges before data is durable promises nothing. */
  messageReceived({ boot, directory }: PeerHello, message: Message): void {
    const promised = boot === undefined || boot.lossy ? undefined : promiseIn(message);
    if (boot === undefined || promised === undefined) return;
    if (isCount(promised.term) && isCount(promised.index)) {
      this.#context.boots?.notePromise(directory, boot, promised);
    }
  }

  /** Records the position of a ping. */
  pingReceived({ boot, directory }: PeerHello, promised: Position): void {
    if (boot !== undefined) this.#context.boots?.notePromise(directory, boot, promised);
  }

  /** Stores positions that have changed, so that a later process of this node knows them. Logs a failure. */
  store(): void {
    try {
      this.#failed = false;
      this.#store();
    } catch (reason) {
      this.#failed = true;
      this.#context.options.logger.warn(
        { err: reason },
        "the positions that the members have promised could not be stored",
      );
    }
  }

  #store(): void {
    const { boots, node, options } = this.#context;
    if (boots === undefined) return;
    for (const { peer, directory } of node?.isLeader === true ? options.roster() : []) {
      const seen = boots.seen(directory);
      const promised = node?.promisedBy?.(peer);
      if (seen !== undefined && promised !== undefined) boots.notePromise(directory, seen, promised);
    }
    boots.save();
  }
}
