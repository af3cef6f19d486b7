/**
 * How fresh a read is: what must be applied here before it is answered.
 *
 *   linearizable   everything acknowledged before the read began: the leader is asked, one question for all who ask
 *   session        what this caller has seen or was acknowledged; without such a token, a read that finds nothing
 *                  asks the leader before it says so. Requests cannot tell "offset 0 was seen" from "nothing was", so
 *                  that there is nothing at all is a miss, too
 *   bounded        everything acknowledged until so many milliseconds ago: a confirmed question of that age will do
 *   any            what is here
 *
 * A committed record never changes, so one that is here is always served at once; only "there is none" and "this is
 * the end" depend on the mode.
 *
 * Never: polls; waits without a limit.
 */
import { Fault } from "../fault.ts";
import type { Broadcast } from "../lib/broadcast.ts";
import type { Clock } from "../lib/time/clock.ts";
import type { Bounds, Freshness, Offset } from "../types.ts";

/** The part of a log and its node that reads depend on. */
export interface FreshnessPorts {
  readonly clock: Clock;
  readonly log: { readonly bounds: Bounds; readonly changed: Broadcast; readonly closed: boolean };
  /** Does what is applied here hold all that is committed anywhere, without asking? */
  readonly alone: () => boolean;
  /** Resolves when everything acknowledged before the call is applied here. Fault "unavailable". */
  readonly readIndex: () => Promise<unknown>;
}

/** How long a read waits that came without a deadline. */
const waitMsMax = 5_000;
const defaultStalenessMs = 5_000;

export class FreshnessGate {
  readonly #ports: FreshnessPorts;
  /** When the last confirmed question was asked. */
  #confirmedMs = Number.NEGATIVE_INFINITY;

  constructor(ports: FreshnessPorts) {
    this.#ports = ports;
  }

  /** Before the end is told. Resolves at once where the mode asks nothing. */
  async beforeBounds(freshness: Freshness): Promise<void> {
    const { mode = "session", seenOffset } = freshness;
    if (mode === "session") {
      if (seenOffset !== undefined) await this.applied(seenOffset + 1, freshness);
      else if (this.#ports.log.bounds.next === 0) await this.#confirm(freshness);
    } else await this.#asked(mode, freshness);
  }

  /** Before it is told that a record is not there. */
  async beforeMiss(freshness: Freshness): Promise<void> {
    const { mode = "session", seenOffset } = freshness;
    if (mode !== "session") await this.#asked(mode, freshness);
    else if (seenOffset !== undefined) await this.applied(seenOffset + 1, freshness);
    else await this.#confirm(freshness);
  }

  /** Waits until the committed log ends at `next` at least. Fault "unavailable" when that takes too long. */
  applied(next: Offset, freshness: Freshness): Promise<void> {
    return this.until((bounds) => bounds.next >= next, freshness);
  }

  /** Waits until the committed extent is so. Fault "unavailable" when that takes too long. */
  async until(holds: (bounds: Bounds) => boolean, freshness: Freshness): Promise<void> {
    const { log } = this.#ports;
    if (holds(log.bounds)) return;
    let stopWaiting = (): void => {};
    const there = new Promise<void>((resolve) => {
      const look = (): void => {
        if (holds(log.bounds) || log.closed) resolve();
        else stopWaiting = log.changed.wait(look);
      };
      look();
    });
    try {
      await this.#limited(there, freshness, "this node has not yet applied what was seen elsewhere");
    } finally {
      stopWaiting();
    }
  }

  async #asked(mode: Exclude<Freshness["mode"], undefined>, freshness: Freshness): Promise<void> {
    if (mode === "linearizable") await this.#confirm(freshness);
    else if (mode === "bounded") {
      const { maxStalenessMs = defaultStalenessMs } = freshness;
      if (this.#ports.clock.monotonicMs() - this.#confirmedMs > maxStalenessMs)
        await this.#confirm(freshness);
    }
  }

  async #confirm(freshness: Freshness): Promise<void> {
    const { clock } = this.#ports;
    const asked = clock.monotonicMs();
    if (!this.#ports.alone()) {
      await this.#limited(this.#ports.readIndex(), freshness, "no leader confirmed the read in time");
    }
    this.#confirmedMs = Math.max(this.#confirmedMs, asked);
  }

  /** The promise within the caller's patience. */
  #limited<T>(promise: Promise<T>, freshness: Freshness, late: string): Promise<T> {
    const { clock } = this.#ports;
    const { deadlineMs, signal } = freshness;
    const left = deadlineMs === undefined ? waitMsMax : Math.min(waitMsMax, deadlineMs - clock.monotonicMs());
    return new Promise((resolve, reject) => {
      const done = (): void => {
        timer.cancel();
        signal?.removeEventListener("abort", onAbort);
      };
      const onAbort = (): void => {
        done();
        reject(new Fault("canceled"));
      };
      const timer = clock.after(Math.max(0, left), () => {
        done();
        reject(new Fault("unavailable", { message: late }));
      });
      if (signal?.aborted === true) onAbort();
      else signal?.addEventListener("abort", onAbort);
      promise.then(
        (value) => {
          done();
          resolve(value);
        },
        (reason: unknown) => {
          done();
          reject(reason as Error);
        },
      );
    });
  }
}
