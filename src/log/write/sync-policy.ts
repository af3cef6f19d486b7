/**
 * Decides whether a group is flushed on the event loop or in the thread pool. A fast sync costs less on the event loop
 * (80 against 149 µs for one record where fdatasync takes 45 µs). A slow sync would block the event loop. The speed of the
 * disk is measured when the log opens, and observed afterwards.
 */
import type { Disk, DiskFile } from "../../lib/disk/disk.ts";
import type { Clock } from "../../lib/time/clock.ts";

/** When written groups are synced: each group, at intervals, or when the operating system writes them back. */
export type SyncMode = "always" | "never" | { readonly intervalMs: number };

export const syncModeText = (mode: SyncMode): string =>
  typeof mode === "string" ? mode : `interval=${mode.intervalMs}ms`;

/** A faster sync may run on the event loop. */
const fastMs = 0.4;
/** A larger group would block the event loop for too long, even on a fast disk. */
const inlineBytesMax = 256 * 1024;
const probes = 5;
/** After this many slow flushes in a row, the disk counts as slow. */
const slowMax = 8;

export class SyncPolicy {
  #fast: boolean;
  #slowInARow = 0;

  constructor(fast: boolean) {
    this.#fast = fast;
  }

  /** Measures a few small synced writes to a temporary file. */
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
      return new SyncPolicy(false); // the disk refuses the file
    } finally {
      file?.close();
      if (file !== undefined) disk.remove(path);
    }
    timesMs.sort((a, b) => a - b);
    return new SyncPolicy(timesMs[Math.floor(probes / 2)]! < fastMs);
  }

  /** Returns true if a group of this size should be flushed on the event loop. */
  inline(bytes: number): boolean {
    return this.#fast && bytes <= inlineBytesMax;
  }

  /** Reports how long a flush on the event loop took. */
  took(elapsedMs: number): void {
    this.#slowInARow = elapsedMs > 5 * fastMs ? this.#slowInARow + 1 : 0;
    if (this.#slowInARow >= slowMax) this.#fast = false;
  }
}
