/**
 * Background maintenance of a log: syncs its index, trims records beyond the retention settings, and deletes the files
 * of trimmed records. Only the leader decides to trim. Every node deletes its own files, except those that a live
 * follower still needs.
 */
import type { Clock, Timer } from "../lib/time/clock.ts";
import { isRefusal, nextExpiryMs, retentionOffset, type SegmentedLog } from "../log/mod.ts";
import type { Offset, RaftIndex } from "../types.ts";
import type { LogTime } from "./time/log-time.ts";

export interface MaintenanceOptions {
  readonly log: Pick<
    SegmentedLog,
    "closed" | "compact" | "failure" | "compactsLater" | "retained" | "sealed" | "state" | "syncIndex"
  >;
  readonly clock: Clock;
  readonly time: Pick<LogTime, "expiryMs">;
  /** Returns true if this node may propose. */
  readonly leads: () => boolean;
  /** Proposes to trim the records before this offset. */
  readonly trim: (before: Offset) => void;
  /** Called while this node leads: the level of the cluster may be due. */
  readonly raiseLevel?: () => void;
  /** Returns the last index that every live follower has. */
  readonly keepAfter: () => RaftIndex;
  /** Called when a sync or a deletion failed: the log accepts no more writes. */
  readonly failed: (reason: unknown) => void;
}

const delayMs = 1_000;
/** The longest wait for an expiry. It is a time of the wall clock, which can be set, so it is checked again. */
const expiryCheckMsMax = 600_000;
/** How often expiry is checked again while the clock is not trusted. */
const untrustedCheckMs = 10_000;

export class Maintenance {
  readonly #options: MaintenanceOptions;
  #timer: Timer | undefined;
  #expiry: Timer | undefined;
  #sealedSeen = -1;
  #closed = false;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
  }

  /** Runs the maintenance after a delay of one second. To be called after each commit. */
  schedule(): void {
    if (this.#closed) return;
    this.#timer ??= this.#options.clock.after(delayMs, () => {
      this.#timer = undefined;
      try {
        this.#work();
      } catch (reason) {
        // A refusal of the disk is temporary.
        if (isRefusal(reason)) {
          this.schedule();
          return;
        }
        this.close();
        this.#options.failed(reason);
      }
    });
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#expiry?.cancel();
  }

  #work(): void {
    const { log, time, leads, keepAfter } = this.#options;
    if (this.#closed || log.failure !== undefined || log.closed) return;
    log.syncIndex();
    log.compact(keepAfter());
    if (leads()) this.#options.raiseLevel?.();
    const { retained } = log;
    const { settings } = log.state;
    const now = time.expiryMs();
    const expiry = nextExpiryMs(retained, settings);
    const grown = this.#sealedSeen !== log.sealed.length;
    const expired = now !== undefined && expiry !== undefined && expiry <= now;
    if (leads() && (grown || expired)) {
      this.#sealedSeen = log.sealed.length;
      // Without a trusted clock nothing expires by age, and only the size counts.
      const before = retentionOffset(retained, settings, now ?? 0);
      if (before > retained.lowest) this.#options.trim(before);
    }
    // What could not be removed now is tried again, and so are records that expire without further appends.
    if (log.compactsLater) this.schedule();
    else if (expiry !== undefined) this.#scheduleIn(now === undefined ? untrustedCheckMs : expiry - now);
  }

  #scheduleIn(waitMs: number): void {
    this.#expiry?.cancel();
    this.#expiry = this.#options.clock.after(Math.min(waitMs, expiryCheckMsMax), () => this.schedule());
  }
}
