/**
 * Makes a backup every so often while this node leads. What fails is tried again after a growing pause.
 *
 *   leads ─► how old is the newest backup? ─► wait for the rest of the time ─► write a backup ─► wait …
 *   leads no more, or stops ─► the backup ends at its next part; its files are used by the next one
 */
import {
  type BackupContents,
  listBackups,
  type ReadParts,
  type WrittenBackup,
  writeBackup,
} from "../../backup/mod.ts";
import { Fault } from "../../fault.ts";
import type { Logger, Metrics } from "../../lib/telemetry.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { ObjectStore, RetryNotice } from "../../objects/mod.ts";
import type { BackupPart, ChainPoint } from "../../replication/mod.ts";
import { type BackupCounters, measureBackups } from "./backup-metrics.ts";

export interface ScheduledBackupOptions {
  readonly url: string;
  readonly open: (signal: AbortSignal, onRetry: (notice: RetryNotice) => void) => Promise<ObjectStore>;
  readonly everyMs: number;
  readonly keep: number;
  /** Yields the log as it is committed; undefined where other work may run. */
  readonly backup: (
    have: readonly string[],
    after: ChainPoint | undefined,
  ) => Iterable<BackupPart | undefined>;
  /** The name of the node, for other writers. */
  readonly holder: string;
  readonly newId: () => string;
  readonly leads: () => boolean;
  /** Calls back when this may have changed. The returned function ends that. */
  readonly onChange: (listener: () => void) => () => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

const retryMs = { first: 10_000, longest: 10 * 60_000 };
/** How long a backup may go on when the node stops. */
const graceMs = 2_000;

/** Logs a request that failed and is sent again. A pass has at most three requests at a time, and nine attempts of each. */
export function noteRetry(log: Logger, url: string, { fault, pauseMs, ...facts }: RetryNotice): void {
  const retryMs = Math.round(pauseMs);
  log.warn({ err: fault, url, ...facts, retryMs }, "retrying: a request to the place of backups failed");
}

export class ScheduledBackup implements AsyncDisposable {
  readonly #options: ScheduledBackupOptions;
  readonly #counters: BackupCounters & Disposable;
  readonly #stopListening: () => void;
  readonly #stop = new AbortController();
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  /** On the monotonic clock: the last backup, or the begin of leading. */
  #sinceMs: number | undefined;
  /** The snapshots of many backups are read only once. */
  readonly #cache = new Map<string, BackupContents>();
  #bytes = 0;
  #failures = 0;
  #lastFailure = "";
  #closed = false;
  /** Changes when this node begins or ceases to lead. Work of an earlier one plans nothing more. */
  #generation = 0;

  constructor(options: ScheduledBackupOptions) {
    this.#options = options;
    this.#counters = measureBackups(options.metrics, () => ({
      ageMs: this.#sinceMs === undefined ? undefined : options.clock.monotonicMs() - this.#sinceMs,
      bytes: this.#bytes,
      everyMs: options.everyMs,
    }));
    this.#stopListening = options.onChange(() => this.#look());
    this.#look();
  }

  /** Why the last attempt failed, for the readiness of the node; undefined if it did not. */
  get note(): string | undefined {
    return this.#lastFailure === "" ? undefined : `the last backup failed: ${this.#lastFailure}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#stopListening();
    const end = this.#options.clock.after(graceMs, () => this.#stop.abort());
    await this.#running;
    end.cancel();
    this.#counters[Symbol.dispose]();
  }

  #look(): void {
    if (this.#closed) return;
    const leads = this.#options.leads();
    if (leads === (this.#sinceMs !== undefined)) return;
    this.#generation++;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#lastFailure = "";
    this.#failures = 0;
    if (!leads) this.#sinceMs = undefined;
    else {
      this.#sinceMs = this.#options.clock.monotonicMs();
      this.#after(0, this.#generation, () => this.#schedule());
    }
  }

  #after(delayMs: number, generation: number, work: () => Promise<void>): void {
    if (!this.#isDue || generation !== this.#generation) return;
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#timer = undefined;
      // A backup of an earlier time as leader still ends.
      this.#running = (this.#running ?? Promise.resolve()).then(() => this.#attempt(generation, work));
    });
  }

  get #isDue(): boolean {
    return !this.#closed && this.#options.leads();
  }

  #open(): Promise<ObjectStore> {
    const { open, log, url } = this.#options;
    return open(this.#stop.signal, (notice) => {
      this.#counters.retries.add(1);
      noteRetry(log, url, notice);
    });
  }

  /** Waits until the newest backup is old enough. */
  async #schedule(): Promise<void> {
    const { clock, everyMs } = this.#options;
    const generation = this.#generation;
    const [newest] = await listBackups(await this.#open());
    const ageMs = newest?.ageMs ?? everyMs;
    if (newest !== undefined) this.#sinceMs = clock.monotonicMs() - ageMs;
    this.#next(everyMs - ageMs, generation);
  }

  #next(delayMs: number, generation: number): void {
    this.#after(Math.max(0, delayMs), generation, () => this.#write());
  }

  async #write(): Promise<void> {
    const { clock, everyMs, keep, holder, newId, log, url } = this.#options;
    const startedMs = clock.monotonicMs();
    const generation = this.#generation;
    const store = await this.#open();
    const written = await writeBackup({
      ...{ store, keep, holder, clock, id: newId(), parts: this.#parts, cache: this.#cache },
      onPruneFailed: (err) => log.warn({ err, url }, "old backups could not be removed"),
    });
    const tookMs = Math.round(clock.monotonicMs() - startedMs);
    this.#completed(written, startedMs, tookMs);
    this.#next(everyMs - tookMs, generation);
  }

  #completed(written: WrittenBackup, startedMs: number, tookMs: number): void {
    const { log, url } = this.#options;
    const { name, isNew, uploadedBytes, ...facts } = written;
    if (this.#sinceMs !== undefined) this.#sinceMs = startedMs;
    this.#bytes = written.bytes;
    this.#counters.uploaded.add(uploadedBytes);
    [this.#failures, this.#lastFailure] = [0, ""];
    const text = isNew ? "backup completed" : "backup completed: there is nothing new since the last one";
    log.info({ url, backup: name, ...facts, uploadedBytes, tookMs }, text);
  }

  async #attempt(generation: number, work: () => Promise<void>): Promise<void> {
    const { log, everyMs, url } = this.#options;
    if (!this.#isDue || generation !== this.#generation) return;
    try {
      await work();
    } catch (reason) {
      if (!this.#isDue || generation !== this.#generation) return;
      const fault = Fault.from(reason);
      this.#counters.failures.add(1);
      const pauseMs = Math.min(retryMs.first * 2 ** this.#failures++, retryMs.longest, everyMs);
      if (fault.message !== this.#lastFailure)
        log.warn({ err: fault, url, retryMs: pauseMs }, "backup failed");
      this.#lastFailure = fault.message;
      this.#after(pauseMs, generation, work);
    }
  }

  readonly #parts: ReadParts = async function* (
    this: ScheduledBackup,
    have: readonly string[],
    after: ChainPoint | undefined,
  ) {
    const { backup, clock } = this.#options;
    for (const part of backup(have, after)) {
      if (!this.#isDue)
        throw new Fault("canceled", { message: "this node does not lead any more, or stops" });
      if (part !== undefined) yield part;
      await new Promise<void>((resolve) => clock.soon(resolve));
    }
  }.bind(this);
}
