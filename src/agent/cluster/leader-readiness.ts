/**
 * Readiness in terms of Raft: the node knows a leader, and has caught up once since its start. A node that has caught up
 * stays ready for 3 s without a leader, because writes wait that long for an election.
 */
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { Replica } from "../../replication/mod.ts";
import type { NodeReadiness } from "../node-readiness.ts";

const graceMs = 3_000;
const againMs = 200;
const reason = "leader";

export class LeaderReadiness implements Disposable {
  readonly #replica: Pick<Replica, "node" | "onChange">;
  readonly #readiness: NodeReadiness;
  readonly #clock: Clock;
  readonly #stopListening: () => void;
  #caughtUp = false;
  #asking = false;
  #grace: Timer | undefined;
  #again: Timer | undefined;
  #closed = false;

  /** The replica must have been started. */
  constructor(replica: Pick<Replica, "node" | "onChange">, readiness: NodeReadiness, clock: Clock) {
    this.#replica = replica;
    this.#readiness = readiness;
    this.#clock = clock;
    readiness.set(reason, "no leader is known yet");
    this.#stopListening = replica.onChange(() => this.#look());
    this.#look();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#stopListening();
    this.#grace?.cancel();
    this.#again?.cancel();
  }

  #look(): void {
    if (this.#closed) return;
    const led = this.#replica.node.leader !== undefined;
    if (!this.#caughtUp) {
      this.#readiness.set(reason, led ? "catching up with the leader" : "no leader is known yet");
      if (led) void this.#catchUp();
    } else if (led) {
      this.#grace?.cancel();
      this.#grace = undefined;
      this.#readiness.set(reason, undefined);
    } else {
      this.#grace ??= this.#clock.after(graceMs, () => {
        this.#grace = undefined;
        if (this.#replica.node.leader === undefined) this.#readiness.set(reason, "there is no leader");
      });
    }
  }

  /** A confirmed read index resolves when all entries committed before it are applied here. */
  async #catchUp(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      await this.#replica.node.readIndex();
      this.#caughtUp = true;
    } catch {
      this.#again = this.#clock.after(againMs, () => this.#look());
    }
    this.#asking = false;
    if (this.#caughtUp) this.#look();
  }
}
