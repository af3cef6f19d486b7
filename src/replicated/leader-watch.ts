/**
 * Waiting for a leader: whoever wants to write while there is none, or while this node has just become it.
 *
 * Never: waits past the time it was given; keeps more waiters than it may.
 */
import { Fault } from "../fault.ts";
import { Broadcast } from "../lib/broadcast.ts";
import type { Clock } from "../lib/clock.ts";

export interface LeaderWatchPorts {
  readonly clock: Clock;
  /** Is this node the leader, and ready to append? */
  readonly ready: () => boolean;
  /** Is it the leader, though perhaps not ready? */
  readonly leads: () => boolean;
  /** The name of the other node that leads, as far as is known. */
  readonly leaderName: () => string | undefined;
}

const waitersMax = 65_536;

export class LeaderWatch {
  readonly #ports: LeaderWatchPorts;
  readonly #changes = new Broadcast();

  constructor(ports: LeaderWatchPorts) {
    this.#ports = ports;
  }

  /** Role, leader or term changed, or the first entry of a term was applied. */
  notify(): void {
    this.#changes.notify();
  }

  /** "here", or who leads. Fault "unavailable" when there is no leader until `untilMs` of the monotonic clock. */
  async leader(untilMs: number): Promise<string> {
    const { ready, leads, leaderName, clock } = this.#ports;
    for (;;) {
      if (ready()) return "here";
      const name = leads() ? undefined : leaderName();
      if (name !== undefined) return name;
      if (clock.monotonicMs() >= untilMs) throw new Fault("unavailable", { message: "there is no leader" });
      await this.changed(untilMs);
    }
  }

  /** Resolves at the next change, or at `untilMs` of the monotonic clock. */
  changed(untilMs: number): Promise<void> {
    if (this.#changes.size >= waitersMax) {
      throw new Fault("overloaded", { message: "too many writes wait for a leader" });
    }
    const { clock } = this.#ports;
    return new Promise((resolve) => {
      const timer = clock.after(Math.max(1, untilMs - clock.monotonicMs()), () => {
        stop();
        resolve();
      });
      const stop = this.#changes.wait(() => {
        timer.cancel();
        resolve();
      });
    });
  }
}
