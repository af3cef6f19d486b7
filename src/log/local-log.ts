/**
 * The commit log of one node alone: term 1, and committed is what is durable. Opens, and leaves, the same directory
 * as a cluster's node does.
 *
 * One turn at a time takes everything that waits, writes it as one group with one sync, and then answers everybody.
 *
 * Never: acknowledges before the sync (unless --sync says so), shows what is not committed.
 */
import { Fault } from "../fault.ts";
import { SerialTurn } from "../lib/serial.ts";
import type { Logger } from "../lib/telemetry.ts";
import type { Clock, Timer } from "../lib/time/clock.ts";
import { ClockLeaps, leapHoldMs } from "../lib/time/clock-leap.ts";
import type {
  Appended,
  AppendOptions,
  BatchSlice,
  Bounds,
  CommitLog,
  Freshness,
  LogDescription,
  Offset,
  ReadStart,
  RecordRun,
  Tail,
} from "../types.ts";
import { AppendQueue, answer, type QueuedGroup, type QueueLimits } from "./append-queue.ts";
import {
  checkSettings,
  encodeSettings,
  encodeTrim,
  type LogSettings,
  sameSettings,
} from "./frame/command.ts";
import { batchKind, batchRecordsMax, subjectBytesMax } from "./frame/frame.ts";
import { runBytesMax } from "./group-builder.ts";
import { checkOffsetsLeft } from "./offset-limit.ts";
import { outOfRange } from "./reader.ts";
import { isRefusal } from "./segment/disk-fault.ts";
import { defaultReserveBytes, Reserve } from "./segment/reserve.ts";
import { nextExpiryMs, retentionOffset } from "./segment/retention.ts";
import { type SyncMode, SyncPolicy, syncModeText } from "./segment/sync-policy.ts";
import { SegmentedLog, type SegmentedLogOptions } from "./segmented-log.ts";
import { LogTail } from "./tail.ts";

export interface LocalLogOptions extends Omit<SegmentedLogOptions, "unsynced"> {
  readonly clock: Clock;
  readonly settings: LogSettings;
  /** Default "always". */
  readonly sync?: SyncMode;
  /** Default: defaultReserveBytes(). 0 keeps no reserve. */
  readonly reserveBytes?: number;
  /** Appends that may wait for the disk. */
  readonly queue?: QueueLimits;
  /** How groups are flushed; default: measured. */
  readonly syncPolicy?: SyncPolicy;
  readonly logger?: Logger;
}

const term = 1;
const defaultQueue: QueueLimits = { bytesMax: 32 * 1024 * 1024, appendsMax: 65_536 };
const idleMs = 1000;
/** An expiry is a time of the wall clock, which can be set meanwhile: it is looked at again after this long. */
const expiryLookMsMax = 600_000;

export class LocalLog implements CommitLog {
  readonly log: SegmentedLog;
  /** Resolves when the log has failed for good: the process had better end, with an exit code that is not zero. */
  readonly failed: Promise<Fault>;
  readonly #options: LocalLogOptions;
  readonly #clock: Clock;
  readonly #sync: SyncMode;
  readonly #policy: SyncPolicy;
  readonly #reserve: Reserve | undefined;
  readonly #queue: AppendQueue;
  readonly #turn: SerialTurn;
  #fail: (fault: Fault) => void = () => {};
  #failure: Fault | undefined;
  /** The group being written. */
  #current: QueuedGroup | undefined;
  readonly #leaps = new ClockLeaps();
  #timers = new Map<string, Timer>();
  #syncDue = false;
  #indexSyncDue = false;
  #sealedSeen = 0;
  #closing = false;

  /** Opens the log in `directory`. Throws what SegmentedLog.open throws, and Fault "config". */
  static async open(options: LocalLogOptions): Promise<LocalLog> {
    checkSettings(options.settings);
    const local = new LocalLog(options);
    await local.#begin();
    return local;
  }

  private constructor(options: LocalLogOptions) {
    const { clock, disk, directory, settings } = options;
    this.#options = options;
    this.#clock = clock;
    this.#sync = options.sync ?? "always";
    this.log = SegmentedLog.open({ ...options, unsynced: this.#sync !== "always" });
    const volumeBytes = disk.totalBytes(directory);
    const bytes = options.reserveBytes ?? defaultReserveBytes(volumeBytes, settings.segmentStoreBytesMax);
    if (bytes > 0) this.#reserve = new Reserve({ disk, clock, path: `${directory}/reserve`, bytes });
    this.#policy = options.syncPolicy ?? SyncPolicy.measure(disk, clock, directory);
    this.#queue = new AppendQueue(options.queue ?? defaultQueue);
    this.#turn = new SerialTurn(
      clock,
      () => this.#work(),
      (reason) => this.#broken(reason),
    );
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
  }

  /** What recovery found is durable, so it is committed; then the settings are made those asked for. */
  async #begin(): Promise<void> {
    this.#report();
    this.log.commitTo(this.log.durableIndex);
    const { settings } = this.#options;
    if (this.log.end.index === 0 || !sameSettings(this.log.state.settings, settings)) {
      try {
        await this.#command(batchKind.settings, encodeSettings(settings));
      } catch (fault) {
        this.log.close();
        throw fault;
      }
    }
    this.#sealedSeen = -1;
    this.#retain();
  }

  append(run: RecordRun, options: AppendOptions = {}): Promise<Appended> {
    try {
      return this.#append(run, options);
    } catch (fault) {
      return Promise.reject(fault as Error);
    }
  }

  #append(run: RecordRun, { producer, expectedOffset, traceparent }: AppendOptions): Promise<Appended> {
    this.#checkOpen();
    checkRun(run, producer?.subject);
    const { state } = this.log;
    if (producer !== undefined) {
      const now = Math.max(this.#expiryMs() ?? 0, this.log.end.timestampMs);
      const verdict = this.#queue.check(producer, run.count, state.producers, now, state.settings);
      if ("queued" in verdict) return wait(verdict.queued, verdict.place, run.count, true);
      if ("staged" in verdict) {
        const { index, firstOffset, timestampMs } = verdict.staged;
        const appended = { firstOffset, count: run.count, timestampMs, duplicate: true };
        if (index <= this.log.commitIndex) return Promise.resolve(appended);
        return settled(this.#current).then(() => appended);
      }
    }
    if (expectedOffset !== undefined && expectedOffset !== this.#tailOffset()) {
      // Only once all before it is settled is the end certain.
      return settled(this.#queue.last ?? this.#current).then(() => {
        throw offsetMismatch(expectedOffset, this.log.bounds.next);
      });
    }
    checkOffsetsLeft(this.#tailOffset(), run.count);
    if (this.#reserve?.open === false) throw this.#reserve.fault();
    const { group, place } = this.#queue.add(run, producer, expectedOffset !== undefined, traceparent);
    this.#turn.request();
    return wait(group, place, run.count, false);
  }

  async read(offset: Offset, _freshness?: Freshness): Promise<BatchSlice> {
    return this.log.reader.read(offset);
  }

  async bounds(_freshness?: Freshness): Promise<Bounds> {
    return this.log.bounds;
  }

  async seek(start: ReadStart, _freshness?: Freshness): Promise<Offset> {
    const { lowest, next } = this.log.bounds;
    if ("offset" in start) {
      if (start.offset < lowest) throw outOfRange(start.offset, this.log.bounds);
      return start.offset;
    }
    if ("fromTimeMs" in start) return this.log.reader.seekTime(start.fromTimeMs);
    if ("last" in start) return Math.max(lowest, next - start.last);
    return next;
  }

  follow(offset: Offset): Tail {
    return new LogTail(this.log, offset);
  }

  async trim(before: Offset, _options?: AppendOptions): Promise<Offset> {
    this.#checkOpen();
    const { lowest, next } = this.log.bounds;
    if (before > next) throw outOfRange(before, this.log.bounds);
    if (before > lowest) await this.#command(batchKind.trim, encodeTrim(before));
    return this.log.bounds.lowest;
  }

  async describe(): Promise<LogDescription> {
    const segments = this.log.describeSegments();
    let bytes = 0;
    for (const segment of segments) bytes += segment.bytes;
    const diskFreeBytes = this.#options.disk.freeBytes(this.#options.directory);
    return { ...this.log.bounds, bytes, segments, sync: syncModeText(this.#sync), diskFreeBytes };
  }

  /** True while records are refused because the disk is full. */
  get full(): boolean {
    return this.#reserve?.open === false;
  }

  /** Takes no more, writes what waits, and closes. Harmless when called again. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    await this.#turn.idle();
    this.#queue.fail(new Fault("unavailable", { message: "the log is closed" }));
    this.log.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // ── the turn ──

  async #work(): Promise<void> {
    const group = this.#queue.take();
    if (group !== undefined) await this.#write(group);
    if (!this.#queue.empty) this.#turn.request();
    if (this.#syncDue) {
      this.#syncDue = false;
      await this.log.syncWritten();
    }
    if (this.#indexSyncDue) {
      this.#indexSyncDue = false;
      this.log.syncIndex();
    } else {
      this.#later("index", idleMs, () => {
        this.#indexSyncDue = true;
      });
    }
    this.#retain();
  }

  async #write(group: QueuedGroup): Promise<void> {
    this.#current = group;
    const base = this.log.end.nextOffset;
    const { group: frames, end, timestampMs } = group.builder.seal(this.log.end, term, this.#stampMs());
    let fault: Fault | undefined;
    try {
      this.log.stageOwn(frames, end);
      await this.#flush(frames.bytes.length, group);
    } catch (reason) {
      if (!(reason instanceof Fault)) throw reason;
      fault = reason;
      if (this.log.failure !== undefined) this.#broken(reason, group);
      else this.#rollBack(reason);
    }
    if (this.#failure !== undefined) return;
    this.log.commitTo(this.log.durableIndex);
    // Settled from here on: whoever comes now must not wait for this group any more.
    this.#current = undefined;
    const { nextOffset } = this.log.end;
    for (const waiter of group.waiters) {
      if (base + waiter.place + waiter.count <= nextOffset) waiter.resolve(answer(waiter, base, timestampMs));
      else waiter.reject(fault!);
    }
    for (const barrier of group.barriers) barrier(fault);
    // What was queued behind it counted on its records.
    if (fault !== undefined) this.#queue.fail(fault);
  }

  async #flush(bytes: number, group: QueuedGroup): Promise<void> {
    try {
      await this.#flushOnce(bytes);
    } catch (reason) {
      const full = reason instanceof Fault && reason.kind === "disk-full";
      if (!full) throw reason;
      this.#reserve?.filled();
      // Commands may use what was kept back: a trim is how room is made.
      if (group.hasRecords || this.#reserve?.release() !== true) throw reason;
      await this.#flushOnce(bytes);
    }
  }

  async #flushOnce(bytes: number): Promise<void> {
    const sync = this.#sync === "always";
    if (sync && !this.#policy.inline(bytes)) await this.log.flush();
    else {
      const started = this.#clock.monotonicMs();
      this.log.flushNow(sync);
      this.#policy.took(this.#clock.monotonicMs() - started);
    }
    if (typeof this.#sync === "object") {
      this.#later("sync", this.#sync.intervalMs, () => {
        this.#syncDue = true;
      });
    }
  }

  /** The disk took no more: what did not reach it is forgotten again. */
  #rollBack({ message }: Fault): void {
    this.log.commitTo(this.log.durableIndex);
    this.log.truncateSuffix(this.log.durableIndex + 1);
    this.#options.logger?.warn({ free: this.#options.disk.freeBytes(this.#options.directory) }, message);
  }

  /** A failed sync, or a broken invariant: nothing more is written, and nobody knows what became of the group. */
  #broken(reason: unknown, group = this.#current): void {
    if (this.#failure !== undefined) return;
    this.#failure =
      this.log.failure ??
      new Fault("disk-failed", { message: "the log has failed", written: "unknown", cause: reason });
    group?.fail(new Fault("disk-failed", { written: "unknown", cause: reason }));
    this.#queue.fail(new Fault("disk-failed", { cause: reason }));
    this.#options.logger?.error({ err: reason }, "the log has failed: nothing is written any more");
    this.#fail(this.#failure);
  }

  // ── commands and retention ──

  async #command(
    kind: typeof batchKind.trim | typeof batchKind.settings,
    command: Uint8Array,
  ): Promise<void> {
    const group = this.#queue.addCommand(kind, command);
    this.#turn.request();
    await settled(group);
  }

  /** Trims what the settings do not keep, and removes the files of what was trimmed. */
  #retain(): void {
    const { log } = this;
    if (log.failure !== undefined || this.#closing) return;
    const settings = log.state.settings;
    try {
      log.compact();
    } catch (reason) {
      if (!isRefusal(reason)) throw reason; // refused by the disk: done another time
    }
    const { retained } = log;
    const now = this.#expiryMs();
    const expiryMs = nextExpiryMs(retained, settings);
    const expired = now !== undefined && expiryMs !== undefined && expiryMs <= now;
    if (this.#sealedSeen !== log.sealed.length || expired) {
      this.#sealedSeen = log.sealed.length;
      const before = retentionOffset(retained, settings, now ?? 0);
      if (before > retained.lowest) {
        this.#queue.addCommand(batchKind.trim, encodeTrim(before));
        this.#turn.request();
      }
    }
    if (expiryMs !== undefined) {
      const delayMs = now === undefined ? expiryLookMsMax : Math.min(expiryMs - now, expiryLookMsMax);
      this.#later("expiry", Math.max(1000, delayMs), () => {});
    }
  }

  /** For an hour after the clock was set back, what it would show otherwise: no record is to expire early. */
  #stampMs(): number {
    const wallMs = this.#clock.wallMs();
    const monotonicMs = this.#clock.monotonicMs();
    this.#leaps.look({ wallMs, monotonicMs });
    return Math.max(wallMs, Math.floor(this.#leaps.withoutLeapsMs(monotonicMs, leapHoldMs) ?? 0));
  }

  /** The time by which something may expire; undefined for an hour after the clock was set. */
  #expiryMs(): number | undefined {
    const wallMs = this.#clock.wallMs();
    const monotonicMs = this.#clock.monotonicMs();
    this.#leaps.look({ wallMs, monotonicMs });
    return this.#leaps.recent(monotonicMs, leapHoldMs) === undefined ? wallMs : undefined;
  }

  /** Asks for a turn after a while, unless one of this name is already asked for. */
  #later(name: string, delayMs: number, due: () => void): void {
    if (this.#timers.has(name) || this.#closing) return;
    const timer = this.#clock.after(delayMs, () => {
      this.#timers.delete(name);
      due();
      this.#turn.request();
    });
    this.#timers.set(name, timer);
  }

  /** Where the next append's first record will stand, if all before it goes well. */
  #tailOffset(): Offset {
    // While a group is written it is staged, so the log's end has it.
    return this.log.end.nextOffset + this.#queue.records;
  }

  #checkOpen(): void {
    if (this.#failure !== undefined) throw new Fault("disk-failed", { cause: this.#failure });
    if (this.#closing) throw new Fault("unavailable", { message: "the log is closed" });
  }

  #report(): void {
    const { logger } = this.#options;
    const { cut, indexRebuilt, rewrittenBytes, scannedBytes } = this.log.recovery;
    if (cut !== undefined) logger?.warn({ ...cut }, "a torn write group was cut off and kept beside");
    if (indexRebuilt) logger?.warn({ scannedBytes }, "the index of the last segment was built anew");
    if (rewrittenBytes > 0) logger?.info({ rewrittenBytes }, "the end of the log was made durable again");
    if (this.#sync !== "always") {
      logger?.warn({ sync: syncModeText(this.#sync) }, "appends are acknowledged before they are durable");
    }
  }
}

function wait(group: QueuedGroup, place: number, count: number, duplicate: boolean): Promise<Appended> {
  return new Promise((resolve, reject) => {
    group.waiters.push({ place, count, duplicate, resolve, reject });
  });
}

/** Resolves once the group, if there is one, and so everything before it is settled; rejects if that failed. */
function settled(group: QueuedGroup | undefined): Promise<void> {
  if (group === undefined) return Promise.resolve();
  return new Promise((resolve, reject) => {
    group.barriers.push((fault) => (fault === undefined ? resolve() : reject(fault)));
  });
}

function checkRun(run: RecordRun, subject: string | undefined): void {
  if (run.count === 0) throw new Fault("bad-request", { message: "nothing to append" });
  const tooLarge = run.bytes.length > runBytesMax || run.count > batchRecordsMax;
  if (tooLarge) {
    throw new Fault("too-large", {
      message: `one append takes at most ${batchRecordsMax} records and ${runBytesMax} bytes`,
      facts: {
        records: run.count,
        bytes: run.bytes.length,
        recordsMax: batchRecordsMax,
        bytesMax: runBytesMax,
      },
    });
  }
  if (subject !== undefined && Buffer.byteLength(subject) > subjectBytesMax) {
    throw new Fault("too-large", { message: `a producer's subject has at most ${subjectBytesMax} bytes` });
  }
}

function offsetMismatch(expected: Offset, next: Offset): Fault {
  return new Fault("offset-mismatch", {
    message: `expected the log to end at ${expected}, it ends at ${next}`,
    facts: { expected, next },
  });
}
