/**
 * What a log does when there is nothing to append: syncs its index, trims what the settings do not keep, and removes
 * the files of what was trimmed. The leader alone decides to trim; the removal follows on every node.
 *
 * Never: removes what a follower that is alive still needs.
 */
import type { Clock, Timer } from "../lib/time/clock.ts";
import { isRefusal, nextExpiryMs, retentionOffset, type SegmentedLog } from "../log/mod.ts";
import type { Offset, RaftIndex } from "../types.ts";
import type { LogTime } from "./time/log-time.ts";

export interface MaintenanceOptions {
  readonly log: SegmentedLog;
  readonly clock: Clock;
  readonly time: Pick<LogTime, "expiryMs">;
  /** May this node propose? */
  readonly leads: () => boolean;
  /** Trims up to here, by a command in the log. */
  readonly trim: (before: Offset) => void;
  /** The last index that every live follower has. */
  readonly keepAfter: () => RaftIndex;
  /** Something could not be made durable, or be removed: the log takes no more. */
  readonly failed: (reason: unknown) => void;
}

const idleMs = 1_000;
/** An expiry is a time of the wall clock, which can be set meanwhile: it is looked at again after this long. */
const expiryLookMsMax = 600_000;
/** While the clock is not trusted. */
const heldLookMs = 10_000;

export class Maintenance {
  readonly #options: MaintenanceOptions;
  #timer: Timer | undefined;
  #expiry: Timer | undefined;
  #sealedSeen = -1;
  #closed = false;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
  }

  /** Something was committed: look after it in a while. */
  schedule(): void {
    if (this.#closed) return;
    this.#timer ??= this.#options.clock.after(idleMs, () => {
      this.#timer = undefined;
      try {
        this.#work();
      } catch (reason) {
        // What the disk refuses is done another time.
        if (isRefusal(reason)) return;
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
    const { retained } = log;
    const { settings } = log.state;
    const now = time.expiryMs();
    const expiry = nextExpiryMs(retained, settings);
    const grown = this.#sealedSeen !== log.sealed.length;
    const expired = now !== undefined && expiry !== undefined && expiry <= now;
    if (leads() && (grown || expired)) {
      this.#sealedSeen = log.sealed.length;
      // Without a trusted clock nothing is too old, and only the size counts.
      const before = retentionOffset(retained, settings, now ?? 0);
      if (before > retained.lowest) this.#options.trim(before);
    }
    // What was kept for a follower must go too; and what expires while nobody appends.
    if (log.sealed.some(({ nextOffset }) => nextOffset <= retained.lowest)) this.schedule();
    else if (expiry !== undefined) this.#scheduleIn(now === undefined ? heldLookMs : expiry - now);
  }

  #scheduleIn(delayMs: number): void {
    this.#expiry?.cancel();
    this.#expiry = this.#options.clock.after(Math.min(delayMs, expiryLookMsMax), () => this.schedule());
  }
}
