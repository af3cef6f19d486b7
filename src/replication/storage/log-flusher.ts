/**
 * Makes staged entries durable according to the sync mode, inline or off the event loop as the sync policy decides.
 *
 * On a full disk the reserve is released once, so that entries that were already accepted are written. New records are
 * refused meanwhile.
 */
import { Fault } from "../../fault.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { Reserve, SegmentedLog, SyncMode, SyncPolicy } from "../../log/mod.ts";

export interface LogFlusherOptions {
  readonly log: Pick<SegmentedLog, "flush" | "flushNow" | "syncWritten">;
  readonly clock: Clock;
  readonly sync: SyncMode;
  readonly policy: Pick<SyncPolicy, "inline" | "took" | "tookAside">;
  readonly reserve: Pick<Reserve, "filled" | "release"> | undefined;
}

export class LogFlusher {
  readonly #options: LogFlusherOptions;
  #syncTimer: Timer | undefined;
  #inProgress: Promise<void> | undefined;
  #closed = false;

  constructor(options: LogFlusherOptions) {
    this.#options = options;
  }

  /** Writes what is staged, `bytes` of it new. Returns undefined if that is done when this returns. Throws Fault. */
  flush(bytes: number): Promise<void> | undefined {
    const { clock, log, policy, sync: mode } = this.#options;
    const sync = mode === "always";
    if (typeof mode === "object") this.#syncLater(mode.intervalMs);
    const startedMs = clock.monotonicMs();
    if (sync && !policy.inline(bytes, startedMs)) {
      this.#inProgress = this.#flushInBackground(startedMs);
      return this.#inProgress;
    }
    try {
      log.flushNow(sync);
    } catch (reason) {
      if (!this.releaseReserve(reason)) throw reason;
      log.flushNow(sync);
    }
    if (sync) {
      const endedMs = clock.monotonicMs();
      policy.took(endedMs - startedMs, endedMs);
    }
    return undefined;
  }

  /** Releases the reserve if the reason is a full disk. Returns true if that freed space, so a retry can succeed. */
  releaseReserve(reason: unknown): boolean {
    if (!(reason instanceof Fault) || reason.kind !== "disk-full") return false;
    const { reserve } = this.#options;
    reserve?.filled();
    return reserve?.release() === true;
  }

  /** Stops the interval sync. Resolves when a flush in progress has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#syncTimer?.cancel();
    await this.#inProgress?.catch(() => undefined);
  }

  async #flushInBackground(startedMs: number): Promise<void> {
    const { clock, log, policy } = this.#options;
    try {
      await log.flush();
    } catch (reason) {
      if (!this.releaseReserve(reason)) throw reason;
      await log.flush();
    }
    policy.tookAside(clock.monotonicMs() - startedMs);
  }

  #syncLater(intervalMs: number): void {
    if (this.#syncTimer !== undefined || this.#closed) return;
    const { clock, log } = this.#options;
    this.#syncTimer = clock.after(intervalMs, () => {
      this.#syncTimer = undefined;
      this.#inProgress = log.syncWritten();
      // A failed sync makes the log unusable: the next write reports it.
      this.#inProgress.catch(() => undefined);
    });
  }
}
