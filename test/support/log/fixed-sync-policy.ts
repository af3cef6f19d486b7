/** A sync policy for tests of one path: it flushes all groups on the event loop, or all in the thread pool. */
import { SyncPolicy } from "../../../src/log/mod.ts";

export class FixedSyncPolicy extends SyncPolicy {
  readonly #inline: boolean;

  constructor(inline: boolean) {
    super(inline);
    this.#inline = inline;
  }

  override inline(): boolean {
    return this.#inline;
  }
}
