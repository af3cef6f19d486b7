/**
 * Keeps a node from being alone: while it knows nobody alive, it tries those it is told of (--start-join-addrs) and
 * those of its former life, at once and then ever more rarely. Somebody alive ends it; the last one's going begins it
 * again.
 *
 * Invariant: one attempt at a time, one timer.
 *
 * Never: ends because an attempt failed.
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
  #trying = false;
  #delayMs = firstDelayMs;
  #closed = false;

  constructor(options: SeedJoinerOptions) {
    this.#options = options;
    this.#stopListening = options.membership.onEvent(({ kind }) => {
      if (kind === "failed" || kind === "left" || kind === "reaped") this.#again();
    });
  }

  /** The first attempt, which also goes back to the cluster of a former life. Resolves when it has ended. */
  async start(): Promise<void> {
    await this.#attempt(true);
  }

  async #attempt(rejoin: boolean): Promise<void> {
    const { log, membership, seeds } = this.#options;
    if (this.#trying || this.#closed) return;
    this.#trying = true;
    try {
      const back = rejoin ? membership.rejoin().catch(() => false) : Promise.resolve(false);
      if (seeds.length > 0) {
        const joined = await membership.join(seeds);
        if (joined > 0) log.info({ joined, seeds }, "joined the members told of");
      }
      if (await back) log.info({}, "went back to the cluster of before");
      this.#delayMs = firstDelayMs;
    } catch (reason) {
      const { facts, message } = Fault.from(reason);
      log.warn({ ...facts, seeds, nextMs: this.#delayMs }, `${message}; it will be tried again`);
    } finally {
      this.#trying = false;
    }
    this.#again();
  }

  /** Another attempt after a while, if there is nobody. */
  #again(): void {
    const { clock, seeds } = this.#options;
    if (this.#timer !== undefined || this.#trying || this.#closed) return;
    if (seeds.length === 0 || !this.#alone()) return;
    this.#timer = clock.after(this.#delayMs, () => {
      this.#timer = undefined;
      if (this.#alone()) void this.#attempt(false);
    });
    this.#delayMs = Math.min(delayMsMax, this.#delayMs * 2);
  }

  #alone(): boolean {
    const { membership } = this.#options;
    const lives = ["alive", "suspect"];
    return !membership
      .members()
      .some(({ name, status }) => name !== membership.name && lives.includes(status));
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#stopListening();
    this.#timer?.cancel();
  }
}
