/**
 * Linearizable reads that wait for a quorum to confirm their leader, within its term.
 *
 * Each read gets the next number of a counter. Later heartbeats carry it and their answers return it. A peer that returns n
 * confirms every read up to n. So a heartbeat that was sent before a read can never confirm it, even if the read is repeated
 * with the same context.
 */
import { jointIndex, type Voters } from "./quorum.ts";
import type { PeerId, RaftIndex } from "./types.ts";

export interface PendingRead {
  readonly from: PeerId;
  readonly context: number;
  /** The commit index when it was requested. */
  readonly index: RaftIndex;
}

export class ReadOnly {
  readonly #pending: PendingRead[] = [];
  /** The number of the first pending read. */
  #first = 1;
  readonly #echoed = new Map<PeerId, number>();

  /** The number of the newest read; 0 while none waits. Heartbeats carry it. */
  get counter(): number {
    return this.#pending.length === 0 ? 0 : this.#first + this.#pending.length - 1;
  }

  get count(): number {
    return this.#pending.length;
  }

  /** Adds a read; `self` confirms it at once. */
  add(read: PendingRead, self: PeerId): void {
    this.#pending.push(read);
    this.#echoed.set(self, this.counter);
  }

  /** Notes a counter that a peer returned. Returns the reads that a quorum has confirmed now, oldest first. */
  echoed(from: PeerId, counter: number, voters: Voters): PendingRead[] {
    // No heartbeat has carried this number yet, so it confirms nothing.
    if (counter > this.#first + this.#pending.length - 1) return [];
    if (counter > (this.#echoed.get(from) ?? 0)) this.#echoed.set(from, counter);
    const confirmed = jointIndex(voters, (peer) => this.#echoed.get(peer));
    const count = Math.min(confirmed - this.#first + 1, this.#pending.length);
    if (count <= 0) return [];
    this.#first += count;
    return this.#pending.splice(0, count);
  }
}
