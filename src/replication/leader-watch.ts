/**
 * Lets writes wait for a leader: while there is none, or until this node, as a new leader, is ready to append.
 */
import { Fault } from "../fault.ts";
import { Broadcast } from "../lib/broadcast.ts";
import type { Clock } from "../lib/time/clock.ts";
import type { RaftNode } from "../raft/mod.ts";

/** The message of the fault when no leader was found in time. */
export const noLeaderMessage = "there is no leader; tailrace status says why";

/** Why a node that does not lead refuses a write that may not be forwarded. */
export function notLeader(node: Pick<RaftNode, "leader"> | undefined): Fault {
  const leader = node?.leader;
  return leader === undefined
    ? new Fault("unavailable", { message: noLeaderMessage })
    : new Fault("not-leader", { facts: { leader: leader.name, address: leader.address } });
}

export interface LeaderWatchPorts {
  readonly clock: Clock;
  /** Returns true if this node is the leader and ready to append. */
  readonly ready: () => boolean;
  /** Returns true if this node is the leader, ready or not. */
  readonly leads: () => boolean;
  /** The name of the current leader, if it is another node and known. */
  readonly leaderName: () => string | undefined;
}

const waitersMax = 65_536;

export class LeaderWatch {
  readonly #ports: LeaderWatchPorts;
  readonly #changes = new Broadcast();

  constructor(ports: LeaderWatchPorts) {
    this.#ports = ports;
  }

  /** To be called when the role, leader or term changed, or when the first entry of a term was applied. */
  notify(): void {
    this.#changes.notify();
  }

  /**
   * Calls back at every change, until the returned function is called.
   * @throws Fault "overloaded" if too many writes wait
   */
  listen(changed: () => void): () => void {
    this.#checkLimit();
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

  /** Where a write can be sent now: "here" or the name of another node. Undefined if it has to wait. */
  target(): string | undefined {
    const { ready, leads, leaderName } = this.#ports;
    if (ready()) return "here";
    return leads() ? undefined : leaderName();
  }

  /** The leader, if known: "here" for this node, ready or not, or the name of another node. */
  known(): string | undefined {
    const { leads, leaderName } = this.#ports;
    return leads() ? "here" : leaderName();
  }

  /**
   * Waits until a write can be sent, and returns where to: "here" or the name of another node.
   * @throws Fault "unavailable" when there is no leader until `untilMs` of the monotonic clock
   */
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
    this.#checkLimit();
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

  #checkLimit(): void {
    if (this.#changes.size < waitersMax) return;
    throw new Fault("overloaded", { message: "too many writes wait for a leader" });
  }
}
