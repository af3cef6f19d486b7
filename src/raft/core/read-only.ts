/**
 * Linearizable reads that wait for a quorum to confirm that their leader still leads.
 *
 * Each read is given the next number of a counter, which the heartbeats after it carry and their answers echo.
 * A peer that echoes n confirms every read up to n; so a read can never be confirmed by an answer to a heartbeat
 * that was sent before it, whatever its own context is and however often it is asked again.
 *
 * Never: sends; outlives the leader's term.
 */
import { jointIndex, type Voters } from "./quorum.ts";
import type { PeerId, RaftIndex } from "./types.ts";

export interface PendingRead {
  readonly from: PeerId;
  readonly context: number;
  /** The commit index when it was asked. */
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

  /** Takes a read in; `self` confirms it at once. */
  add(read: PendingRead, self: PeerId): void {
    this.#pending.push(read);
    this.#echoed.set(self, this.counter);
  }

  /** A peer has echoed a counter. Answers the reads that a quorum confirms by now, oldest first. */
  echoed(from: PeerId, counter: number, voters: Voters): PendingRead[] {
    // No heartbeat has carried it yet: an echo of it says nothing.
    if (counter > this.#first + this.#pending.length - 1) return [];
    if (counter > (this.#echoed.get(from) ?? 0)) this.#echoed.set(from, counter);
    const confirmed = jointIndex(voters, (peer) => this.#echoed.get(peer));
    const count = Math.min(confirmed - this.#first + 1, this.#pending.length);
    if (count <= 0) return [];
    this.#first += count;
    return this.#pending.splice(0, count);
  }
}
