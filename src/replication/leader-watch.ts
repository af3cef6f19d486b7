/**
 * Waiting for a leader: whoever wants to write while there is none, or while this node has just become it.
 *
 * Never: waits past the time it was given; keeps more waiters than it may.
 */
import { Fault } from "../fault.ts";
import { Broadcast } from "../lib/broadcast.ts";
import type { Clock } from "../lib/time/clock.ts";

/** What a write hears that waited for a leader in vain. */
export const noLeaderMessage = "there is no leader; tailrace status says why";

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

  /** Calls back at every change, until the answer is called. */
  listen(changed: () => void): () => void {
    this.#checkRoom();
    let stop = (): void => {};
    const again = (): void => {
      stop = this.#changes.wait(() => {
        again();
        changed();
      });
    };
    again();
    return () => stop();
  }

  /** Where a write can go now: "here", or the name of another node. Undefined where it has to wait. */
  target(): string | undefined {
    const { ready, leads, leaderName } = this.#ports;
    if (ready()) return "here";
    return leads() ? undefined : leaderName();
  }

  /** Who leads, as far as is known: "here" for this node, ready or not. */
  known(): string | undefined {
    const { leads, leaderName } = this.#ports;
    return leads() ? "here" : leaderName();
  }

  /** "here", or who leads. Fault "unavailable" when there is no leader until `untilMs` of the monotonic clock. */
  async leader(untilMs: number): Promise<string> {
    const { clock } = this.#ports;
    for (;;) {
      const target = this.target();
      if (target !== undefined) return target;
      if (clock.monotonicMs() >= untilMs) throw new Fault("unavailable", { message: noLeaderMessage });
      await this.changed(untilMs);
    }
  }

  /** Resolves at the next change, or at `untilMs` of the monotonic clock. */
  changed(untilMs: number): Promise<void> {
    this.#checkRoom();
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

  #checkRoom(): void {
    if (this.#changes.size < waitersMax) return;
    throw new Fault("overloaded", { message: "too many writes wait for a leader" });
  }
}
