/** What a node has reported of its core, so that each change is reported once. */
import { type Core, noPeer } from "../core/mod.ts";

export class ReportedState {
  readonly #core: Core;
  #last: ReturnType<typeof stateOf>;

  constructor(core: Core) {
    this.#core = core;
    this.#last = stateOf(core);
  }

  /** Whether term, role or leader changed since the last call, and whether a transfer of leadership began or ended. */
  changes(): { readonly leadership: boolean; readonly handOver: boolean } {
    const before = this.#last;
    const now = stateOf(this.#core);
    this.#last = now;
    return {
      leadership: now.term !== before.term || now.role !== before.role || now.leader !== before.leader,
      handOver: now.isHandingOver !== before.isHandingOver,
    };
  }
}

const stateOf = ({ term, role, leader, transferee }: Core) => ({
  term,
  role,
  leader,
  isHandingOver: transferee !== noPeer,
});
