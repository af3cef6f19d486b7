/**
 * How a group is made durable. A cheap sync is done on the spot: it costs less than a trip through the thread pool
 * (80 against 149 µs for one record where fdatasync takes 45 µs). A dear one goes off the event loop, for while it
 * lasts nothing else would run. Which of the two this disk has is measured when the log opens, and watched.
 *
 * Never: decides whether to sync.
 */

import type { Disk, DiskFile } from "../../lib/disk/disk.ts";
import type { Clock } from "../../lib/time/clock.ts";

/** When an append counts as durable: after fdatasync, after fdatasync at intervals, or when the OS pleases. */
export type SyncMode = "always" | "never" | { readonly intervalMs: number };

export const syncModeText = (mode: SyncMode): string =>
  typeof mode === "string" ? mode : `interval=${mode.intervalMs}ms`;

/** A sync below this is cheap. */
const cheapMs = 0.4;
/** A larger group is copied and written for so long that the event loop had better go on. */
const inlineBytesMax = 256 * 1024;
const probes = 5;

export class SyncPolicy {
  #cheap: boolean;
  #dearInARow = 0;

  constructor(cheap: boolean) {
    this.#cheap = cheap;
  }

  /** Times a few small synced writes to a file of its own, which is removed again. */
  static measure(disk: Disk, clock: Clock, directory: string): SyncPolicy {
    const path = `${directory}/sync-probe.tmp`;
    const timesMs: number[] = [];
    let file: DiskFile | undefined;
    try {
      if (disk.exists(path)) disk.remove(path);
      file = disk.open(path, "create");
      const block = new Uint8Array(4096);
      for (let probe = 0; probe < probes; probe++) {
        const started = clock.monotonicMs();
        file.write(block, probe * block.length);
        file.sync();
        timesMs.push(clock.monotonicMs() - started);
      }
    } catch {
      return new SyncPolicy(false); // a disk that takes no file cannot be measured
    } finally {
      file?.close();
      if (file !== undefined) disk.remove(path);
    }
    timesMs.sort((a, b) => a - b);
    return new SyncPolicy(timesMs[Math.floor(probes / 2)]! < cheapMs);
  }

  /** Should a group of this size be flushed on the spot? */
  inline(bytes: number): boolean {
    return this.#cheap && bytes <= inlineBytesMax;
  }

  /** How long a flush on the spot took. Eight dear ones in a row, and it is not done any more. */
  took(elapsedMs: number): void {
    this.#dearInARow = elapsedMs > 5 * cheapMs ? this.#dearInARow + 1 : 0;
    if (this.#dearInARow >= 8) this.#cheap = false;
  }
}
