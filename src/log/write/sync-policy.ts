/**
 * Decides whether a group is flushed on the event loop or in the thread pool. A fast sync costs less on the event loop
 * (80 against 149 µs for one record where fdatasync takes 45 µs). A slow sync would block the event loop.
 *
 *   inline   small groups are flushed on the event loop, until `slowMax` flushes in a row are slow
 *   aside    all groups are flushed in the thread pool, until a trial
 *   trial    a few flushes on the event loop. If most are fast, the mode is inline again. A second slow one ends the trial, and so
 *            does one that takes very long
 *
 * A trial starts only if the flushes in the thread pool before it show that the disk is not slow. The time between trials
 * doubles from one second to one minute, also if the mode changes back soon. So a slow disk blocks the event loop for no
 * longer than two syncs, once a minute. Pure: times are handed in.
 */
import type { Disk, DiskFile } from "../../lib/disk/disk.ts";
import type { Clock } from "../../lib/time/clock.ts";

/** When written groups are synced: each group, at intervals, or when the operating system writes them back. */
export type SyncMode = "always" | "never" | { readonly intervalMs: number };

export const syncModeText = (mode: SyncMode): string =>
  typeof mode === "string" ? mode : `interval=${mode.intervalMs}ms`;

/**
 * A faster sync may run on the event loop. On 2 cores and ext4 with a journal, with syncs of 0.4 to 0.8 ms, that answers a lone append in
 * 0.75 of the time, and 64 at once as fast. With syncs of 2.5 ms, the thread pool takes 1.18 times as many of these.
 */
const fastMs = 0.8;
/** A slower flush on the event loop counts as slow. */
const slowMs = 2;
/** A flush that takes longer ends a trial. */
const longMs = 10;
/** A flush in the thread pool that takes longer defers the next trial. */
const stallMs = 50;
/** A larger group would block the event loop for too long, even on a fast disk. */
const inlineBytesMax = 256 * 1024;
/** Synced writes at the start, and flushes of a trial. */
const probes = 5;
/** After this many slow flushes in a row, the disk counts as slow. */
const slowMax = 8;
/** The shortest of so many flushes in the thread pool decides whether a trial may start. */
const windowFlushes = 16;
const trialWaitMs = { first: 1_000, longest: 60_000 };
/** After so long inline, the next trial comes after the first wait again. */
const steadyMs = 60_000;

export class SyncPolicy {
  #mode: "inline" | "aside" | "trial";
  #modeSinceMs: number;
  #changes = 0;
  #slowInARow = 0;
  #trialAtMs: number;
  #trialWaitMs = trialWaitMs.first;
  /** The flushes of the trial under way. */
  #trialTimesMs: number[] = [];
  #window = { flushes: 0, shortestMs: Number.POSITIVE_INFINITY };
  /** Whether the last full window of flushes in the thread pool contains a fast one. */
  #mayBeFast = false;

  /** Begins inline if `fast`. `nowMs` is monotonic, here and below. */
  constructor(fast: boolean, nowMs = 0) {
    this.#mode = fast ? "inline" : "aside";
    this.#modeSinceMs = nowMs;
    this.#trialAtMs = nowMs + this.#trialWaitMs;
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
      // Small groups overwrite zeros (zero-tail.ts), which is faster where the file system has a journal.
      file.write(new Uint8Array(probes * block.length), 0);
      file.sync();
      for (let probe = 0; probe < probes; probe++) {
        const started = clock.monotonicMs();
        file.write(block, probe * block.length);
        file.sync();
        timesMs.push(clock.monotonicMs() - started);
      }
    } catch {
      return new SyncPolicy(false, clock.monotonicMs()); // the disk refuses the file
    } finally {
      file?.close();
      if (file !== undefined) disk.remove(path);
    }
    return new SyncPolicy(medianOf(timesMs) < fastMs, clock.monotonicMs());
  }

  /** A trial belongs to "aside". */
  get mode(): "inline" | "aside" {
    return this.#mode === "inline" ? "inline" : "aside";
  }

  /** How often the mode has changed. */
  get changes(): number {
    return this.#changes;
  }

  /** Returns true if a group of this size should be flushed on the event loop. took() or tookAside() reports the flush. */
  inline(bytes: number, nowMs: number): boolean {
    if (bytes > inlineBytesMax) return false;
    if (this.#mode === "aside" && this.#mayBeFast && nowMs >= this.#trialAtMs) {
      this.#mode = "trial";
      this.#trialTimesMs = [];
    }
    return this.#mode !== "aside";
  }

  /** Reports how long a flush on the event loop took, with its sync. */
  took(elapsedMs: number, nowMs: number): void {
    const isSlow = elapsedMs > slowMs;
    if (this.#mode === "inline") {
      this.#slowInARow = isSlow ? this.#slowInARow + 1 : 0;
      if (this.#slowInARow < slowMax) return;
      const wasShort = nowMs - this.#modeSinceMs < steadyMs;
      this.#change("aside", nowMs);
      this.#deferTrial(wasShort, nowMs);
    } else if (this.#mode === "trial") {
      this.#trialTimesMs.push(elapsedMs);
      const times = this.#trialTimesMs;
      const hasFailed = elapsedMs > longMs || times.filter((one) => one > slowMs).length > 1;
      if (!hasFailed && times.length < probes) return;
      this.#mode = "aside";
      if (!hasFailed && medianOf(times) < fastMs) this.#change("inline", nowMs);
      else this.#deferTrial(true, nowMs);
    }
  }

  /** Reports how long a flush in the thread pool took, with its sync and the wait for the event loop. */
  tookAside(elapsedMs: number): void {
    if (this.#mode !== "aside") return;
    const flushes = this.#window.flushes + 1;
    const shortestMs = Math.min(this.#window.shortestMs, elapsedMs);
    this.#window = { flushes, shortestMs };
    if (elapsedMs <= stallMs && flushes < windowFlushes) return;
    this.#forgetWindow();
    this.#mayBeFast = elapsedMs <= stallMs && shortestMs < slowMs;
  }

  #change(mode: "inline" | "aside", nowMs: number): void {
    this.#mode = mode;
    this.#modeSinceMs = nowMs;
    this.#slowInARow = 0;
    this.#changes++;
  }

  #deferTrial(longer: boolean, nowMs: number): void {
    const { first, longest } = trialWaitMs;
    this.#trialWaitMs = longer ? Math.min(2 * this.#trialWaitMs, longest) : first;
    this.#trialAtMs = nowMs + this.#trialWaitMs;
    this.#forgetWindow();
  }

  #forgetWindow(): void {
    this.#window = { flushes: 0, shortestMs: Number.POSITIVE_INFINITY };
    this.#mayBeFast = false;
  }
}

const medianOf = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
