/**
 * Read consistency: what this node must have applied before a read is answered.
 *
 *   linearizable   everything acknowledged before the read began: a ReadIndex, shared by all reads of one turn
 *   session        everything this caller has seen or was acknowledged: an offset of `default`, an index for named logs. Without such a token, a read that finds nothing
 *                  uses a ReadIndex. A request with offset 0 is like one without a token, so an empty log is also
 *                  confirmed with a ReadIndex
 *   bounded        everything acknowledged up to `maxStalenessMs` ago: a confirmed ReadIndex of that age is enough
 *   any            what this node has
 *
 * A committed record never changes, so a record that this node has is served at once. Only "no such record" and the end
 * of the log depend on the mode.
 */
import { Fault } from "../fault.ts";
import type { Broadcast } from "../lib/broadcast.ts";
import type { Clock } from "../lib/time/clock.ts";
import type { Bounds, Freshness, Offset, SeenPlace } from "../types.ts";

/** The part of a log and its node that reads depend on. */
export interface FreshnessPorts {
  readonly clock: Clock;
  readonly log: { readonly bounds: Bounds; readonly changed: Broadcast; readonly closed: boolean };
  /** Returns true if this node is the only voter and leads, so it has applied everything that is committed. */
  readonly alone: () => boolean;
  /** Resolves when everything acknowledged before the call is applied here. Rejects with Fault "unavailable". */
  readonly readIndex: () => Promise<unknown>;
  /** Returns why this node answers no reads at all, if so. */
  readonly refusal?: () => Fault | undefined;
  /** The life of the cluster and the last index that is committed here. Only the gate of names needs it. */
  readonly place?: () => SeenPlace;
}

const anotherLife = (seen: SeenPlace, { life }: SeenPlace): Fault =>
  new Fault("failed-precondition", {
    message: `the token is of another life of the cluster: ${seen.life}, it is ${life} now`,
    facts: { reason: "ANOTHER_LIFE" },
  });

/** The longest wait of a read, with or without a deadline. */
const waitMsMax = 5_000;
const defaultStalenessMs = 5_000;

export class FreshnessGate {
  readonly #ports: FreshnessPorts;
  /** The start of the latest confirmed ReadIndex, on the monotonic clock. */
  #confirmedMs = Number.NEGATIVE_INFINITY;

  constructor(ports: FreshnessPorts) {
    this.#ports = ports;
  }

  /** To be called before a record that this node has is returned. @throws Fault if this node answers no reads */
  check(): void {
    const refusal = this.#ports.refusal?.();
    if (refusal !== undefined) throw refusal;
  }

  /** To be awaited before the bounds of the log are returned. */
  async beforeBounds(freshness: Freshness): Promise<void> {
    this.check();
    const { mode = "session", seenOffset } = freshness;
    if (mode === "session") {
      if (seenOffset !== undefined) await this.applied(seenOffset + 1, freshness);
      else if (this.#ports.log.bounds.next === 0) await this.#confirm(freshness);
    } else await this.#byMode(mode, freshness);
  }

  /** To be awaited before a read of a record that this node does not have. */
  async beforeMiss(freshness: Freshness): Promise<void> {
    const { mode = "session", seenOffset } = freshness;
    if (mode !== "session") await this.#byMode(mode, freshness);
    else if (seenOffset !== undefined) await this.applied(seenOffset + 1, freshness);
    else await this.#confirm(freshness);
  }

  /**
   * Waits until the committed log ends at `next` or later.
   * @throws Fault "unavailable" after the deadline or 5 s, "canceled" on abort
   */
  applied(next: Offset, freshness: Freshness): Promise<void> {
    return this.until((bounds) => bounds.next >= next, freshness);
  }

  /**
   * Waits until the bounds of the committed log satisfy the condition.
   * @throws Fault "unavailable" after the deadline or 5 s, "canceled" on abort
   */
  async until(holds: (bounds: Bounds) => boolean, freshness: Freshness): Promise<void> {
    const { log } = this.#ports;
    if (holds(log.bounds)) return;
    let stopWaiting = (): void => {};
    const reached = new Promise<void>((resolve, reject) => {
      const check = (): void => {
        try {
          if (log.closed || holds(log.bounds)) resolve();
          else stopWaiting = log.changed.wait(check);
        } catch (deleted) {
          // A named log that was deleted has no bounds.
          reject(deleted as Error);
        }
      };
      check();
    });
    try {
      await this.#limited(reached, freshness, "this node has not yet applied what was seen elsewhere");
    } finally {
      stopWaiting();
    }
  }

  /** Resolves once everything acknowledged before the call is applied here. @throws as applied() */
  confirm(freshness: Freshness): Promise<void> {
    return this.#confirm(freshness);
  }

  /**
   * To be awaited before the name of a log is resolved. The offset of a session belongs to a log, so it does not count here.
   * @throws Fault "failed-precondition" for a place in another life, "out-of-range" for one that does not exist
   */
  async beforeName(freshness: Freshness): Promise<void> {
    this.check();
    const { mode = "session", seen } = freshness;
    if (mode !== "session") await this.#byMode(mode, freshness);
    else if (seen !== undefined) await this.#reached(seen, freshness);
  }

  /** The node is as fresh as its leader, at the latest, when it has reached a place that exists. So nothing else is waited for. */
  async #reached(seen: SeenPlace, freshness: Freshness): Promise<void> {
    const { place } = this.#ports;
    if (place === undefined) return;
    const isReached = (): boolean => place().life === seen.life && place().index >= seen.index;
    if (isReached()) return;
    // Also for another life: the present one may have begun in what this node has not applied yet.
    await this.#confirm(freshness);
    if (isReached()) return;
    if (place().life !== seen.life) throw anotherLife(seen, place());
    throw new Fault("out-of-range", {
      message: `the index ${seen.index} of the token is not in the log, which ends at ${place().index}`,
      facts: { index: seen.index, next: place().index + 1 },
    });
  }

  async #byMode(mode: Exclude<Freshness["mode"], undefined>, freshness: Freshness): Promise<void> {
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

  /** Returns the promise, limited by the caller's deadline and signal. `late` is the message at the deadline. */
  #limited<T>(promise: Promise<T>, freshness: Freshness, late: string): Promise<T> {
    const { clock } = this.#ports;
    const { deadlineMs, signal } = freshness;
    const left = deadlineMs === undefined ? waitMsMax : Math.min(waitMsMax, deadlineMs - clock.monotonicMs());
    return new Promise((resolve, reject) => {
      const cleanUp = (): void => {
        timer.cancel();
        signal?.removeEventListener("abort", onAbort);
      };
      const onAbort = (): void => {
        cleanUp();
        reject(new Fault("canceled"));
      };
      const timer = clock.after(Math.max(0, left), () => {
        cleanUp();
        reject(new Fault("unavailable", { message: late }));
      });
      if (signal?.aborted === true) onAbort();
      else signal?.addEventListener("abort", onAbort);
      promise.then(
        (value) => {
          cleanUp();
          resolve(value);
        },
        (reason: unknown) => {
          cleanUp();
          reject(reason as Error);
        },
      );
    });
  }
}
