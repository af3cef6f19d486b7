/**
 * Joins the seeds (--start-join-addrs) and the members of the snapshot: at the start, and again with growing delays
 * while there is no other live member. One attempt runs at a time. A failed attempt is repeated.
 */
import { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { Membership } from "../../membership/mod.ts";

const firstDelayMs = 1_000;
const delayMsMax = 30_000;

export interface SeedJoinerOptions {
  readonly membership: Pick<Membership, "join" | "rejoin" | "members" | "name" | "onEvent">;
  /** `host:port` each. */
  readonly seeds: readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
}

export class SeedJoiner {
  readonly #options: SeedJoinerOptions;
  readonly #stopListening: () => void;
  #timer: Timer | undefined;
  #running = false;
  #delayMs = firstDelayMs;
  #closed = false;

  constructor(options: SeedJoinerOptions) {
    this.#options = options;
    this.#stopListening = options.membership.onEvent(({ kind }) => {
      if (kind === "failed" || kind === "left" || kind === "reaped") this.#schedule();
    });
  }

  /** Makes the first attempt, which also joins the members of the snapshot. Resolves when it has ended. */
  async start(): Promise<void> {
    await this.#attempt(true);
  }

  async #attempt(rejoin: boolean): Promise<void> {
    const { log, membership, seeds } = this.#options;
    if (this.#running || this.#closed) return;
    this.#running = true;
    try {
      const rejoining = rejoin ? membership.rejoin().catch(() => false) : Promise.resolve(false);
      if (seeds.length > 0) {
        const joined = await membership.join(seeds);
        if (joined > 0) log.info({ joined, seeds }, "joined the seeds");
      }
      if (await rejoining) log.info({}, "rejoined the cluster of the gossip snapshot");
      this.#delayMs = firstDelayMs;
    } catch (reason) {
      const { facts, message } = Fault.from(reason);
      log.warn({ ...facts, seeds, nextMs: this.#delayMs }, `${message}; it will be tried again`);
    } finally {
      this.#running = false;
    }
    this.#schedule();
  }

  /** Schedules another attempt if there is no other live member. */
  #schedule(): void {
    const { clock, seeds } = this.#options;
    if (this.#timer !== undefined || this.#running || this.#closed) return;
    if (seeds.length === 0 || !this.#isAlone()) return;
    this.#timer = clock.after(this.#delayMs, () => {
      this.#timer = undefined;
      if (this.#isAlone()) void this.#attempt(false);
    });
    this.#delayMs = Math.min(delayMsMax, this.#delayMs * 2);
  }

  #isAlone(): boolean {
    const { membership } = this.#options;
    return !membership
      .members()
      .some(({ name, status }) => name !== membership.name && (status === "alive" || status === "suspect"));
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#stopListening();
    this.#timer?.cancel();
  }
}
